"""What a language model is told, and what is believed of its answer."""

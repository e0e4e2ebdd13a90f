"""The door to the language model's server."""

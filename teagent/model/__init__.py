"""Values: frozen dataclasses with arithmetic and checks, and nothing else."""

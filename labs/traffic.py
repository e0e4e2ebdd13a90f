"""Paced traffic."""

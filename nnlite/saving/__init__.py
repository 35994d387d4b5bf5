"""Saving models, state dicts and training, and loading them safely."""

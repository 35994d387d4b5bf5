"""The losses, one kind a file."""

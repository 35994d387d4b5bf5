"""What sanity looks at, one subject a file."""

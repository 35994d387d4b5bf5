"""The checks of nnlite.sanity, one subject a file."""

"""What PyTorch answers to a fixed table of cases, and where it is recorded."""

"""Training, evaluating and using a model."""

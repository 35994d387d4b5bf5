"""Metrics: plain functions ``(Y_pred, Y) -> float``, which ``fit`` averages by rows or calls on all rows at once."""

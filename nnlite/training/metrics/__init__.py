"""Metrics: functions ``(Y_pred, Y) -> float``, for ``fit``, ``evaluate`` and by hand."""

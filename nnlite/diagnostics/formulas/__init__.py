"""The little language of the attribute ``formulas``: reading it, printing it as text and LaTeX, evaluating it."""

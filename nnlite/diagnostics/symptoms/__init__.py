"""The simple mistakes that turn a true gradient into the one that backward gives, a family a file.

Each function takes the :class:`nnlite.diagnostics.evidence.Evidence` of a layer and the name of an array, and returns
a reason, or None. A reason is returned only where it explains every entry that was compared.
"""

"""The usual mistakes in a backward, one family a file.

Each function takes the :class:`nnlite.diagnostics.evidence.Evidence` of a layer and the name of an array, and returns
the mistake as a phrase, or None. It returns one only if the mistake explains every entry that was compared.
"""

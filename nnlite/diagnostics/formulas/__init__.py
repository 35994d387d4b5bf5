"""The language of a layer's attribute ``formulas``: parsing, printing as text and LaTeX, evaluating.

The attribute is a string of assignments in plain Python and NumPy, one a line, in the names of the layer's own forward
and backward: arguments (``X``, ``dY``), parameters and other attributes (``W``, ``dim``), intermediate values
(``P = exp(X)``). ``dX`` is the gradient of ``X``. The lines are in the order of backward::

    formulas = '''
        Y = X * gamma
        dgamma = sum(dY * X, axis=0)
        dX = dY * gamma
    '''

- Formulas may call every NumPy function and those of functions.py. ``rows(X)`` reshapes an X of any number of axes to a
  matrix; ``sum_to(dZ, X)`` sums over the axes along which X was broadcast.
- A name whose value is None is dropped from its sum, product or call, such as ``b`` in a Linear without bias;
  ``A if reduction == "none" else B`` is decided by the layer's attributes; a number among these replaces its name.
- ``N`` is the number that the mean of a loss divides by.
- Where forward takes any number of inputs, ``*more``, a line with ``more`` in it is repeated for each of them.
- A gradient without a formula is shown as a call, ``Scale.backward(dL/du2)``.
"""

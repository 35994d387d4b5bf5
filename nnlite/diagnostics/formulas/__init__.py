"""The little language of a layer's attribute ``formulas``: reading it, printing it as text and LaTeX, evaluating it.

The attribute is a string of assignments in plain Python and NumPy, one a line, in the names that the layer's own
forward and backward have: what they take (``X``, ``dY``), the parameters and what else the layer holds (``W``,
``dim``), values on the way (``P = exp(X)``). ``dX`` is the gradient of ``X``. Lines stand in the order of backward::

    formulas = '''
        Y = X * gamma
        dgamma = sum(dY * X, axis=0)
        dX = dY * gamma
    '''

- Every function of NumPy may be called, and those of functions.py. ``rows(X)`` makes a matrix of an X of any number of
  axes, and ``sum_to(dZ, X)`` sums over the axes along which X was stretched.
- A name that stands for None drops out of the sum, product or call that it stands in, as the ``b`` of a Linear without
  one; ``A if reduction == "none" else B`` is decided by what the layer holds; a number that it holds is put in.
- ``N`` is what the mean of a loss divides by.
- Where forward takes any number of inputs, ``*more``, a line with ``more`` in it stands for one for each of them.
- What a layer does not say is shown as a call, ``Scale.backward(dL/du2)``.
"""

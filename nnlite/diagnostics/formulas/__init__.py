"""From a layer's attribute ``formulas`` to the printed line of a derivation, on Python's own syntax trees.

In five steps:

1. tree.py parses ``formulas`` into trees of ``ast``, one for each assignment, and can compute their values.
2. layer_formulas.py puts the layer's options in: ``b`` of a Linear without bias drops out, ``dim`` becomes -1.
3. in_symbols.py puts in symbols with their values. Those of a network naming.py chooses, and operation_formulas.py puts
   them in with the values of a Run: X becomes h1, dY becomes dL/du2. In a printed step the names are their own symbols,
   worked_step.py. Steps 2 and 3 are one substitution of names, substitution.py.
4. notation.py leaves out what only rearranges axes; derivation.py adds the terms of each gradient along the chain rule.
5. printing.py prints the tree as text, its variants in typeset.py, by a table of forms, as LaTeX and MathML, and
   page.py lays the lines out.

one_entry.py takes one entry of a tree, ``sum_n X[n,i] dL/du1[n,j]``, between steps 4 and 5, and puts its numbers in.

The attribute is a string of assignments in plain Python and NumPy, one a line, in the names of the layer's own forward
and backward: arguments (``X``, ``dY``), parameters and other attributes (``W``, ``dim``), intermediate values
(``P = exp(X)``). ``dX`` is the gradient of ``X``. The lines are in the order of backward::

    formulas = '''
        Y = X * gamma
        dgamma = sum(dY * X, axis=0)
        dX = dY * gamma
    '''

- Formulas may call every NumPy function, ``einsum("nd,dm->nm", X, W)`` too, and those of functions.py. ``rows(X)``
  reshapes an X of any number of axes to a matrix; ``sum_to(dZ, X)`` sums over the axes along which X was broadcast.
- A recurrence is an equation of all steps at once, ``Y = tanh(X @ W + before(Y) @ U)``, for the Y that the layer gives.
- ``X[:, t]`` is an index, and ``sum(X[:, t] @ W for t in range(T))`` a sum over one letter, such as time steps.
- A name whose value is None is dropped from its sum, product or call, such as ``b`` in a Linear without bias;
  ``A if reduction == "none" else B`` is decided by the layer's attributes; a number among these replaces its name.
- ``N`` is the number that the mean of a loss divides by.
- Where forward takes any number of inputs, ``*more``, a line with ``more`` in it is repeated for each of them.
- A gradient without a formula is shown as a call, ``Scale.backward(dL/du2)``.
"""

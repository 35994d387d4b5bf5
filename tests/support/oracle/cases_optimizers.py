"""The cases of the optimizers but SGD: the first parameters and five gradients."""

from support.optimizers import OPTIONS, mixes
from support.oracle.table import CASES, Case, draw, name_of, seed

for kind in OPTIONS:
    for options in mixes(kind):
        name = name_of(kind, **options)
        CASES[name] = Case(kind, (), options, draw(seed(name), (6, 6), 0.1))

"""The cases of the optimizers but SGD: the first parameters and five gradients; and of averages of weights."""

from support.optimizers import OPTIONS, mixes
from support.oracle.table import CASES, Case, draw, name_of, seed

for kind in OPTIONS:
    for options in mixes(kind):
        name = name_of(kind, **options)
        CASES[name] = Case(kind, (), options, draw(seed(name), (6, 6), 0.1))

# The state of a BatchNorm1d(2) at each update: gamma, beta, running mean and variance.
for options in [{"decay": decay, "use_buffers": each} for decay in (None, 0.9, 0.25, 0.0) for each in (False, True)]:
    name = name_of("WeightAverage", **options)
    CASES[name] = Case("WeightAverage", (), options, draw(seed(name), (5, 8)))

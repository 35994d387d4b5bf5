"""Data sets for learning and for trying things out: some are made, with ``rng=``, some come with the package.

Each is a :class:`Dataset`: ``X, Y = nn.datasets.moons(rng=0)``. Y has the form that a loss expects: (n, 1) of 0 and 1
for BCELoss in xor, circles, moons and breast_cancer; classes (n,) for CrossEntropyLoss in spirals, blobs and digits;
numbers (n, 1) for MSELoss in sine; the letters that come next, (n, length), for CrossEntropyLoss(dim=-1) in text.
"""

from nnlite.datasets.dataset import Dataset
from nnlite.datasets.made import blobs, circles, moons, sine, spirals, xor
from nnlite.datasets.shipped import breast_cancer, digits, text

__all__ = ["Dataset", "blobs", "breast_cancer", "circles", "digits", "moons", "sine", "spirals", "text", "xor"]

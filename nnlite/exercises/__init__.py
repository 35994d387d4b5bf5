"""Exercises: layers to fill in, which are checked with hints, and networks with a planted bug to find.

``print(nn.exercises.skeleton("Linear"))`` shows a layer with holes; ``nn.exercises.check(Linear(3, 2))`` says what is
right and what is not yet; ``nn.exercises.hunt(level=1)`` plants a bug.
"""

from nnlite.exercises.checked import Checked, check
from nnlite.exercises.hunt import Hunt, hunt
from nnlite.exercises.skeleton import skeleton

__all__ = ["Checked", "Hunt", "check", "hunt", "skeleton"]

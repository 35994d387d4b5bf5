"""Random generators: what users pass as ``rng=``, and the default generator that ``manual_seed`` seeds."""

import threading
from types import ModuleType
from typing import Any, TypeAlias
from zlib import crc32

import numpy as np

from nnlite.basics.checks import whole

Rng: TypeAlias = "int | np.random.Generator | None"  # in quotes, since NumPy loads numpy.random at its first mention


class _Default(threading.local):
    """The default generator of each thread, and which call of manual_seed seeded it."""

    generator: Any = None
    seeding = 0


_default = _Default()
_seed: int | None = None  # None: from the operating system's entropy
_seeding = 0  # how many times manual_seed has been called


def manual_seed(seed: int) -> None:
    """Seed the default generator: everything that is given no ``rng=`` draws from it.

    The same program with the same seed then draws the same numbers. Each thread has a default generator of its own,
    seeded by ``seed`` and the thread's name, so that what one thread draws does not depend on the others. Layers that
    already hold the default generator draw the numbers of the new seed from now on.

    Args:
        seed: a whole number >= 0.

    Raises:
        TypeError, ValueError: the seed is not a whole number, or it is negative.

    >>> import nnlite as nn
    >>> nn.manual_seed(0)
    >>> a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    >>> nn.manual_seed(0)
    >>> c = nn.Linear(2, 2)
    >>> np.array_equal(a.W, c.W), np.array_equal(a.W, b.W)
    (True, False)
    """
    global _seed, _seeding
    _seed = whole(seed, "manual_seed: seed", least=0)
    _seeding += 1
    default_generator()


def default_generator() -> "np.random.Generator":
    """The default generator of this thread; the same object at every call."""
    if _default.generator is None or _default.seeding != _seeding:
        thread = threading.current_thread()
        key = () if thread is threading.main_thread() else (crc32(thread.name.encode()),)
        fresh = np.random.PCG64(np.random.SeedSequence(_seed, spawn_key=key))
        if _default.generator is None:
            _default.generator = np.random.Generator(fresh)
        else:  # seeded in place: layers may hold it
            _default.generator.bit_generator.state = fresh.state
        _default.seeding = _seeding
    generator: np.random.Generator = _default.generator
    return generator


def generator(rng: Any = None, name: str = "rng") -> "np.random.Generator":
    """``rng`` as a generator: the default one for None, a new one for a seed, a generator as it is.

    Args:
        rng: None, a whole number, ``numpy.random.SeedSequence`` or ``numpy.random.Generator``.
        name: what to call the argument in an error, such as "Linear: rng".

    Raises:
        TypeError: something else.
        ValueError: a negative seed.

    A layer of one's own that draws random numbers keeps it as an attribute, ``self.rng = nnlite.generator(rng)``.

    >>> import nnlite as nn
    >>> nn.generator(0).random() == np.random.default_rng(0).random()
    True
    >>> nn.generator() is nn.generator()  # the default generator
    True
    """
    if rng is None:
        return default_generator()
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, ModuleType | np.random.RandomState | bool):
        what = f"the module {rng.__name__}" if isinstance(rng, ModuleType) else repr(rng)
        raise TypeError(
            f"{name}: expected a seed or a numpy.random.Generator, got {what}; pass rng=np.random.default_rng(0), or "
            "call nnlite.manual_seed(0) once"
        )
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{name}: expected a seed >= 0 or a numpy.random.Generator, got {rng!r}; pass rng=np.random.default_rng(0)"
        ) from None

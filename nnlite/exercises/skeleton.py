"""skeleton: a layer with holes to fill in."""

import os
from importlib.resources import files
from pathlib import Path


def skeleton(name: str, path: str | os.PathLike[str] | None = None) -> str:
    """The text of a program with a layer to fill in: Linear, Tanh, Softmax, BCELoss, or MLP, a whole network.

    Run as it is, it says what is missing; :func:`nnlite.exercises.check` in its last line judges it.

    Args:
        name: which.
        path: a file to write it into as well; one that exists is never replaced.

    Returns:
        The text.

    Raises:
        ValueError: there is no such exercise.
        FileExistsError: there is a file at ``path``.

    >>> print(skeleton("Tanh")[:63])
    \"\"\"Fill in the two lines that end with ..., then run this file.
    """
    folder = files(__package__) / "skeletons"
    known = sorted(file.name.removesuffix(".txt") for file in folder.iterdir() if file.name.endswith(".txt"))
    if name not in known:
        raise ValueError(f"skeleton: expected one of {', '.join(known)}, got {name!r}")
    text = (folder / f"{name}.txt").read_text(encoding="utf-8")
    if path is not None:
        with Path(path).open("x", encoding="utf-8") as file:
            file.write(text)
    return text

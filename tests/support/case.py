"""A loop over cases inside one test that still says which case failed."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def case(text: object) -> Iterator[None]:
    """Add the name of the case to an error that is raised in the block; pytest prints it below the traceback."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"case: {text}")
        raise

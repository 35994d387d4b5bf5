"""Replacing a file as a whole: whatever happens, the old file or the new one is there, complete."""

import errno
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO


@contextmanager
def atomic_write(path: Any) -> Iterator[BinaryIO]:
    """Yield a new file that replaces the one at ``path`` when the block ends, or is removed if it raises.

    A process killed at any byte, a full disk and other writers of the same path leave the old file or the new one
    complete. The new file gets the permissions of the old one; a symbolic link is followed, not replaced.

    While it is written it is called ``.<name>.<8 hex digits>.tmp`` and locked; those that no process holds any more
    are removed by the next write.

    Args:
        path: of the file.

    Raises:
        FileNotFoundError, IsADirectoryError, ValueError: as :func:`check_path`.
        OSError: the disk is full, the folder is read-only, the name is too long ...
    """
    path = check_path(path)
    _remove_abandoned(path)
    temporary, file = _temporary(path)
    try:
        with file:
            with suppress(FileNotFoundError):
                mode = stat.S_IMODE(os.stat(path).st_mode)
                if mode != stat.S_IMODE(os.fstat(file.fileno()).st_mode):
                    os.chmod(temporary, mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if sys.platform == "win32":  # elsewhere it stays locked until it has its name
                file.close()
            os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(os.path.dirname(path))


def check_path(path: Any) -> str:
    """``path`` without symbolic links, if it is that of a regular file or of none in an existing folder.

    Raises:
        FileNotFoundError: its folder does not exist.
        IsADirectoryError: it is a folder.
        ValueError: it is a device, a pipe or a socket.
    """
    name = os.fsdecode(path)
    real = os.path.realpath(name)
    if not os.path.isdir(os.path.dirname(real)):
        cure = "use os.path.expanduser(path)" if name.startswith("~") else "create it first"
        raise FileNotFoundError(errno.ENOENT, f"the folder does not exist; {cure}", os.path.dirname(name))
    if os.path.isdir(real) or not os.path.basename(name):
        raise IsADirectoryError(errno.EISDIR, "expected the path of a file, got a folder", name)
    if os.path.exists(real) and not os.path.isfile(real):
        raise ValueError(f"{name}: expected the path of a regular file, got a device, pipe or socket")
    return real


def check_writable(path: Any) -> None:
    """Raise what :func:`atomic_write` would raise before it writes the first byte; nothing is changed.

    Raises:
        FileNotFoundError, IsADirectoryError, ValueError: as :func:`check_path`.
        OSError: the folder is read-only, the name is too long ...
    """
    temporary, file = _temporary(check_path(path))
    file.close()
    with suppress(FileNotFoundError):
        os.unlink(temporary)


def _temporary(path: str) -> tuple[str, BinaryIO]:
    """A new file beside ``path``, and its name; locked while it is open."""
    folder, name = os.path.split(path)
    while True:
        temporary = os.path.join(folder, f".{name}.{os.urandom(4).hex()}.tmp")
        file = open(temporary, "x+b")  # noqa: SIM115 - the caller closes it
        _lock(file.fileno(), wait=True)
        if os.path.exists(temporary):  # else it was removed between these two lines, since nobody had locked it
            return temporary, file
        file.close()


def _remove_abandoned(path: str) -> None:
    """Remove the temporary files of writers of ``path`` that were killed."""
    folder, name = os.path.split(path)
    pattern = re.compile(re.escape(f".{name}.") + r"[0-9a-f]{8}\.tmp")
    with suppress(OSError):
        for temporary in filter(pattern.fullmatch, os.listdir(folder)):
            _remove_if_abandoned(os.path.join(folder, temporary))


def _remove_if_abandoned(temporary: str) -> None:
    with suppress(OSError):
        if sys.platform == "win32":  # which refuses it while somebody has the file open
            os.unlink(temporary)
            return
        descriptor = os.open(temporary, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if _lock(descriptor, wait=False):
                os.unlink(temporary)
        finally:
            os.close(descriptor)


def _lock(descriptor: int, *, wait: bool) -> bool:
    """Lock an open file until it is closed, also by the end of the process; returns whether it is locked now."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # another process has locked it, or the file system knows no locks
        return False
    return True


def _sync_folder(folder: str) -> None:
    """Have the new name written to the disk as well, where a folder can be opened."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""atomic_write: the old file or the new one is there, whole, whatever happens meanwhile."""

import os
import re
import stat
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from nnlite.saving.atomic_write import atomic_write, check_path, check_writable

SUPPORT = Path(__file__).parents[1] / "support"
TEMPORARY = r"\.some\.npz\.[0-9a-f]{8}\.tmp"


def write(path, content):
    with atomic_write(path) as file:
        file.write(content)


@contextmanager
def failing(path, error):
    with atomic_write(path) as file:
        file.write(b"new")
        yield
        raise error


def run(script, *arguments):
    command = [sys.executable, "-W", "error", str(SUPPORT / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_data_is_on_the_disk_before_the_name_and_the_name_before_the_return(path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(descriptor):
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else os.fstat(descriptor).st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", lambda *names: (done.append(names), replace(*names)))
    write(path, b"123")
    assert done[0] == 3
    assert re.fullmatch(TEMPORARY, os.path.basename(done[1][0]))
    assert done[1:] == [(str(path.with_name(os.path.basename(done[1][0]))), str(path)), "folder"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, ValueError])
def test_an_error_or_an_interrupt_leaves_the_old_file_and_no_other(path, error):
    write(path, b"old")
    with pytest.raises(error), failing(path, error):
        pass
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_killed_or_out_of_space_at_any_byte_the_old_file_is_whole():
    assert re.match(r"small: \d\d sizes; of several writes: \d\d\d sizes", run("killed.py", "--step", "211"))


# -------------------------------------------------------------------------------- several writers


def test_two_processes_that_write_one_path_leave_it_whole_at_any_time():
    """``python tests/support/two_writers.py --saves 10000`` does it for longer."""
    assert re.match(r"400 saves by 2 processes, \d+ loads: each file whole", run("two_writers.py", "--saves", "200"))


def test_a_writer_is_not_disturbed_by_another_one(path):
    with atomic_write(path) as slow:
        slow.write(b"slow")
        write(path, b"fast")
        assert path.read_bytes() == b"fast"
        assert len(os.listdir(path.parent)) == 2
    assert path.read_bytes() == b"slow"
    assert os.listdir(path.parent) == [path.name]


def test_a_new_temporary_file_that_another_writer_removes_before_it_is_locked_is_made_again(path, monkeypatch):
    exists, answers = os.path.exists, iter([False])
    monkeypatch.setattr(os.path, "exists", lambda name: exists(name) and next(answers, True))
    write(path, b"new")
    assert path.read_bytes() == b"new"


def test_threads_that_write_one_path_leave_the_file_of_one_of_them(path):
    threads = [
        threading.Thread(target=lambda n=n: [write(path, bytes([n]) * 5000) for _ in range(20)]) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in [bytes([n]) * 5000 for n in range(4)]
    assert os.listdir(path.parent) == [path.name]


def test_temporary_files_that_nobody_holds_are_removed_and_nothing_else(path):
    for name in ".some.npz.01234567.tmp", ".some.npz.backup.tmp", ".other.npz.01234567.tmp", ".some.npz.0123456.tmp":
        path.with_name(name).write_text("half")
    write(path, b"new")
    assert sorted(os.listdir(path.parent)) == [
        ".other.npz.01234567.tmp",
        ".some.npz.0123456.tmp",
        ".some.npz.backup.tmp",
        "some.npz",
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_links_and_pipes_in_place_of_a_temporary_file_are_left_alone(path):
    other = path.with_name("other")
    other.write_text("mine")
    path.with_name(".some.npz.01234567.tmp").symlink_to(other)
    os.mkfifo(path.with_name(".some.npz.89abcdef.tmp"))
    write(path, b"new")
    assert other.read_text() == "mine"
    assert path.read_bytes() == b"new"


# -------------------------------------------------------------------------------- what is replaced


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_the_permissions_are_kept(path, mode):
    """As open(path, 'w') does."""
    write(path, b"old")
    os.chmod(path, mode)
    write(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_new_file_gets_the_permissions_of_any_new_file(path):
    path.with_name("other").touch()
    write(path, b"new")
    assert path.stat().st_mode == path.with_name("other").stat().st_mode


@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_is_followed(path, there):
    """As open(path, 'w') does."""
    folder = path.with_name("folder")
    folder.mkdir()
    if there:
        (folder / "real.npz").write_bytes(b"old")
    path.symlink_to(os.path.join("folder", "real.npz"))
    write(path, b"new")
    assert path.is_symlink()
    assert (folder / "real.npz").read_bytes() == b"new"
    assert os.listdir(folder) == ["real.npz"]


def test_paths_where_no_file_can_be(path):
    with pytest.raises(FileNotFoundError, match=f"the folder does not exist; create it first: '{path.parent}/no'"):
        check_path(path.parent / "no" / "some.npz")
    for folder in path.parent, f"{path.parent}/":
        with pytest.raises(IsADirectoryError):
            check_path(folder)


def test_a_path_with_a_tilde_names_the_cure():
    """As of lightning#19059: Python does not expand it, and nobody wants a folder of that name."""
    with pytest.raises(FileNotFoundError, match=r"the folder does not exist; use os.path.expanduser\(path\): '~'"):
        check_path("~/some.npz")


@pytest.mark.parametrize("check", [check_writable, lambda path: write(path, b"")])
def test_a_path_that_cannot_be_written_is_found_before_there_is_anything_to_write(path, check):
    with pytest.raises(OSError, match="File name too long"):
        check(path.with_name("x" * 250))
    if os.path.isdir("/proc/self/fd"):  # nobody, root neither, may create a file there
        with pytest.raises(OSError, match="/proc/"):
            check("/proc/self/fd/some.npz")
    path.parent.chmod(0o500)
    try:
        if not os.access(path.parent, os.W_OK):  # root may write anywhere
            with pytest.raises(PermissionError):
                check(path)
    finally:
        path.parent.chmod(0o700)


def test_what_can_be_written_is_not_changed_by_the_check(path):
    check_writable(path)
    assert os.listdir(path.parent) == []
    path.write_text("old")
    check_writable(path)
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == [path.name]

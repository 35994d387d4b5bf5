"""Runs of scripts by mpiexec."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
SECONDS = 240  # after which a run is ended: there is a deadlock, or the machine is very busy


def mpiexec(ranks: int) -> list[str]:
    """The command that runs the program after it as so many processes; without it, in one process, for one rank.

    Skips the test where mpi4py or mpiexec is not installed.
    """
    pytest.importorskip("mpi4py")
    beside = Path(sys.executable).parent / "mpiexec"  # of a wheel
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        pytest.skip("there is no mpiexec")
    return [found, "-n", str(ranks)] if ranks > 1 else []


def environment() -> Mapping[str, str]:
    """One thread for each rank; this checkout; and nothing that a surrounding run of MPI has set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PMI_", "PMIX_", "HYDRA_"))}
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return kept | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": path}


def start(ranks: int, script: Path, *arguments: Any) -> "subprocess.Popen[str]":
    """The script in so many processes."""
    command = [*mpiexec(ranks), sys.executable, "-W", "error", str(script), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """(exit code, stdout, stderr) at its end; after too long a time it is killed, and the test fails."""
    try:
        out, error = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.terminate()  # mpiexec then kills its ranks
        out, error = process.communicate(timeout=10)
        pytest.fail(f"after {SECONDS} s the ranks were still running:\n{out}\n{error}")
    return process.returncode, out, error

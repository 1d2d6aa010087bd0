"""Errors of the system inside SQLite, injected between it and the kernel."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from elanus.app import check_database

TESTS = Path(__file__).parents[1]
FAULTS = [
    ("meta.db", "pwrite64:error=ENOSPC:when=4", "DiskFull"),
    ("meta.db", "pwrite64:error=EIO:when=6", "StorageError"),
    ("meta.db", "fdatasync,fsync:error=EIO:when=3", "StorageError"),
    ("meta.db-journal", "pwrite64:error=ENOSPC:when=3", "DiskFull"),
    ("meta.db-journal", "fdatasync,fsync:error=EIO:when=2", "StorageError"),
    ("meta.db-journal", "ftruncate:error=EIO:when=3", "StorageError"),
]


def live_with(fault: tuple[str, str, str], folder: Path) -> None:
    """A life with one fault: told once, and otherwise without a trace."""
    name, injection, told = fault
    root = folder / "db"
    calls = injection.partition(":")[0]
    command = ["strace", "-f", "-o", str(folder / "trace"), "-P", str(root / name)]
    command += ["-e", f"trace=openat,{calls}", "-e", f"inject={injection}"]
    command += [sys.executable, "-m", "faults.metadata_life", str(root)]
    ran = subprocess.run(command, cwd=TESTS, capture_output=True, text=True)
    if "ptrace" in ran.stderr and ran.returncode:
        pytest.skip("strace is not allowed here")
    assert ran.returncode == 0, ran.stderr
    assert "INJECTED" in (folder / "trace").read_text()
    lines = ran.stdout.splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"{told}: meta.db"), lines
    assert check_database(root, lambda name: None) == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_full_disk_in_the_midst_of_a_commit(tmp_path: Path) -> None:
    """The change did not happen, and works when it is asked for again."""
    live_with(FAULTS[0], tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("fault", FAULTS[1:], ids=lambda fault: " ".join(fault[:2]))
def test_an_error_in_the_midst_of_a_commit(
    tmp_path: Path, fault: tuple[str, str, str]
) -> None:
    """As above, for writes, syncs and the truncation that commits."""
    live_with(fault, tmp_path)

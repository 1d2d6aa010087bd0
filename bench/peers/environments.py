"""Environments of the peers: made with uv once, kept outside the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

PYTHON = "3.11"
INSTALL_S = 600.0


class Unavailable(Exception):
    """A peer cannot be installed or started here; the text says why."""


def environments_folder() -> Path:
    """Where they are kept: ``ELANUS_PEERS``, or the user's cache."""
    chosen = os.environ.get("ELANUS_PEERS")
    if chosen:
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "elanus" / "peers"


def environment(name: str, packages: tuple[str, ...]) -> Path:
    """The ``bin`` folder of an environment that holds the packages.

    Raises:
        Unavailable: it has to be made, and cannot be.
    """
    folder = environments_folder() / name
    complete = folder / "complete"
    wanted = "\n".join(packages)
    if not complete.exists() or complete.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _uv("venv", "--python", PYTHON, str(folder))
        python = str(folder / "bin" / "python")
        _uv("pip", "install", "--compile-bytecode", "--python", python, *packages)
        complete.write_text(wanted)
    return folder / "bin"


def _uv(*arguments: str) -> None:
    # `uv run` says where it is: make may have fetched one that is in nobody's PATH.
    program = os.environ.get("UV", "uv")
    try:
        done = subprocess.run(
            [program, "--quiet", *arguments],
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"uv: {error}") from error
    if done.returncode:
        raise Unavailable(f"uv {' '.join(arguments)}: {done.stderr.strip()[-500:]}")

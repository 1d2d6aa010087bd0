"""One environment per release of pymilvus, made with uv and kept between runs.

Each is a folder of its own outside the checkout, so that clients that cannot share
their dependencies run beside each other.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

PYTHON = "3.11"
INSTALL_SECONDS = 300.0

# What pymilvus' first releases import. Their own pins (grpcio 1.37, pandas 1.1) have
# no wheel for a Python that is still supported, hence without their dependencies.
_EARLY = ("grpcio", "protobuf<3.21", "pandas", "numpy<2", "ujson", "mmh3")
_BUCKETS = (
    "minio",
    "pyarrow",
    "requests",
    "azure-storage-blob",
    "environs<10",
    "marshmallow<4",
)
_WITHOUT_THEIR_PINS = {
    "2.0.0": _EARLY,
    "2.1.3": _EARLY,
    "2.2.17": (*_EARLY, *_BUCKETS),
    "2.3.7": (*_EARLY, *_BUCKETS),
}
# setuptools brings pkg_resources, which some of them import; later ones left it out.
_WITH_THEIR_PINS = ("setuptools<80", "marshmallow<4")
RELEASES = (*_WITHOUT_THEIR_PINS, "2.4.15", "2.5.18", "2.6.17", "3.0.2")

_UNREACHABLE = (
    "error sending request",
    "dns error",
    "tcp connect error",
    "the network was disabled",
    "operation timed out",
)


class IndexUnreachable(Exception):
    """The package index does not answer: nothing can be installed."""


class InstallationFailed(Exception):
    """uv refused; the text is its own."""


def environments_folder() -> Path:
    """Where the environments are kept: ELANUS_COMPAT_ENVS, or the user's cache."""
    chosen = os.environ.get("ELANUS_COMPAT_ENVS")
    if chosen:
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "elanus" / "compat-envs"


def is_made(release: str) -> bool:
    """Whether the environment of this release needs no installation any more."""
    return (_environment(release) / "complete").exists()


def python_with(release: str) -> Path:
    """The interpreter of the environment that holds this release of pymilvus.

    Args:
        release: one of RELEASES.

    Raises:
        IndexUnreachable: it has to be made, and the package index does not answer.
        InstallationFailed: it has to be made, and uv refused.
        FileNotFoundError: it has to be made, and uv is not installed.
    """
    folder = environments_folder()
    folder.mkdir(parents=True, exist_ok=True)
    environment = _environment(release)
    python = environment / "bin" / "python"
    complete = environment / "complete"
    with (folder / f"{environment.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            shutil.rmtree(environment, ignore_errors=True)
            _uv("venv", "--python", PYTHON, str(environment))
            _install(python, release)
            complete.touch()
    return python


def _environment(release: str) -> Path:
    return environments_folder() / f"pymilvus-{release}"


def _install(python: Path, release: str) -> None:
    into = ("pip", "install", "--python", str(python))
    package = f"pymilvus=={release}"
    if release in _WITHOUT_THEIR_PINS:
        _uv(*into, "--no-deps", package)
        _uv(*into, *_WITHOUT_THEIR_PINS[release], "setuptools<80")
    else:
        _uv(*into, package, *_WITH_THEIR_PINS)


def uv_program() -> str | None:
    """Where uv is: as `uv run` says, for make may have fetched it, or in the PATH."""
    return shutil.which(os.environ.get("UV", "uv"))


def _uv(*arguments: str) -> None:
    """Run uv, which repeats by itself what the network lost."""
    done = subprocess.run(
        [uv_program() or "uv", "--quiet", *arguments],
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
    )
    if done.returncode == 0:
        return
    if any(sign in done.stderr for sign in _UNREACHABLE):
        raise IndexUnreachable(done.stderr)
    raise InstallationFailed(f"uv {' '.join(arguments)}: {done.stderr}")

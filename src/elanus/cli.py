"""The command line: ``elanus check DIR`` and ``elanus inspect DIR``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from elanus import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the process' exit status."""
    parser = argparse.ArgumentParser(
        prog="elanus", description="A vector database in a folder."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check", help="read every file of a closed database and name every damage"
    )
    check.add_argument("folder", type=Path)
    inspect = commands.add_parser(
        "inspect", help="print what a database holds, as JSON"
    )
    inspect.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    from elanus.errors import ElanusError

    try:
        if options.command == "check":
            return _check(options.folder)
        return _inspect(options.folder)
    except ElanusError as error:
        print(f"elanus: {error}", file=sys.stderr)
        return 2


def _check(folder: Path) -> int:
    from elanus.app import check_database

    def show(name: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{name}", end="", file=sys.stderr, flush=True)

    damages = check_database(folder, show)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    for damage in damages:
        print(damage)
    if damages:
        print(f"{len(damages)} damage(s) found in {folder}")
        return 1
    print(f"{folder}: every file is sound")
    return 0


def _inspect(folder: Path) -> int:
    from elanus.embedded.database import open as open_folder

    with open_folder(folder, read_only=True) as database:
        print(json.dumps(database.stats(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

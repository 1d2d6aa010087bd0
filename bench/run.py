"""Runs the benchmarks, each in a process of its own, and writes their figures down.

    python -m bench.run [--scale full|small] [--only NAME ...] [--soak SECONDS]

Prints a table, writes ``bench-results/figures.json`` and ``figures.md``, and with
``--readme`` the table of the README. Exits with 1 when a benchmark fails or a figure
misses its bar.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

from bench.figures import Figure, machine, markdown, sentence, write

SUBJECTS = (
    "search",
    "filtered",
    "scalars",
    "insert",
    "upsert",
    "reopen",
    "resting",
    "footprint",
    "soak",
)
README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"(<!-- figures: begin -->\n).*(<!-- figures: end -->)", re.DOTALL)


def arguments() -> argparse.Namespace:
    """The command line, read."""
    parser = argparse.ArgumentParser(
        prog="bench.run", description="Measure the figures of the README."
    )
    add = parser.add_argument
    add("--scale", choices=["full", "small"], default="full")
    add("--only", nargs="+", choices=SUBJECTS, default=SUBJECTS, metavar="NAME")
    add("--soak", type=float, metavar="SECONDS", help="length of the soak")
    add("--folder", type=Path, help="where databases go; on the disk to be measured")
    add("--results", type=Path, default=Path("bench-results"))
    add("--readme", action="store_true", help="put the table into the README")
    add("--one", choices=SUBJECTS, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure_one(given: argparse.Namespace) -> None:
    """Measure one subject here and write its figures to the results file."""
    from bench.setup import SCALES, Setup

    scale = SCALES[given.scale]
    if given.soak is not None:
        scale = replace(scale, soak_s=given.soak)
    measure = importlib.import_module(f"bench.{given.one}").measure
    figures = measure(Setup(scale, given.folder))
    given.results.write_text(json.dumps([asdict(figure) for figure in figures]))


def measure_isolated(subject: str, given: argparse.Namespace) -> list[Figure]:
    """Measure one subject in a process and a folder of its own.

    Raises:
        subprocess.CalledProcessError: the benchmark failed; its output says why.
    """
    # Beside the results rather than in /tmp, which may be memory and sync for nothing.
    parent = given.folder or Path("bench-data")
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{subject}-", dir=parent))
    results = folder / "figures.json"
    command = [sys.executable, "-m", "bench.run", "--one", subject]
    command += ["--scale", given.scale, "--folder", folder, "--results", results]
    if given.soak is not None:
        command += ["--soak", str(given.soak)]
    try:
        subprocess.run(command, check=True)
        return [Figure(**figure) for figure in json.loads(results.read_text())]
    finally:
        shutil.rmtree(folder)


def into_readme(figures: list[Figure]) -> None:
    """Replace the table of the README."""
    table = f"{markdown(figures)}\n\n{sentence(machine())}\n"
    text = BLOCK.sub(lambda m: f"{m[1]}{table}{m[2]}", README.read_text())
    README.write_text(text)


def main() -> int:
    """Measure, print and write; the exit status."""
    given = arguments()
    if given.one:
        measure_one(given)
        return 0
    figures: list[Figure] = []
    failed: list[str] = []
    for subject in given.only:
        print(f"{subject} ... ", end="", flush=True)
        begin = time.perf_counter()
        try:
            figures += measure_isolated(subject, given)
        except subprocess.CalledProcessError as error:
            failed.append(subject)
            print(f"FAILED with status {error.returncode}, ", end="")
        print(f"{time.perf_counter() - begin:.0f} s", flush=True)
    print(f"\n{markdown(figures)}\n\n{sentence(machine())}")
    print(f"written to {write(figures, given.results, given.scale)}")
    if failed:
        print(f"failed: {', '.join(failed)}")
    elif given.readme:
        into_readme(figures)
    missed = any(figure.verdict == "MISS" for figure in figures)
    return 1 if failed or missed else 0


if __name__ == "__main__":
    sys.exit(main())

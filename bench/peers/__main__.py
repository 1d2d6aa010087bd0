"""The command line of the comparison; see the package."""

from __future__ import annotations

import argparse
import json
import logging
import re
import shutil
import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench.figures import machine, sentence
from bench.peers.elanus_server import ElanusAutoPeer, ElanusPeer
from bench.peers.environments import Unavailable
from bench.peers.loading import PACES, Candidate, load, start, write_data
from bench.peers.milvus import MilvusPeer
from bench.peers.milvus_lite import MilvusLitePeer
from bench.peers.report import AUTO, misses, table
from bench.peers.rounds import measure_rest, measure_round
from bench.peers.writing import measure_writes
from bench.setup import SCALES, Setup

PEERS = {
    peer.name: peer for peer in (ElanusPeer, ElanusAutoPeer, MilvusPeer, MilvusLitePeer)
}
README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"(<!-- peers: begin -->\n).*(<!-- peers: end -->)", re.DOTALL)
_BEGIN = time.perf_counter()


def main() -> int:
    """Measure, print and write; the exit status is 1 where a bar is missed."""
    given = _arguments()
    # Peers that start are asked again and again; the client logs every refusal.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="peers-", dir=given.folder))
    setup = Setup(SCALES[given.scale], folder, real=given.real)
    try:
        candidates, yardsticks = _measured(given, setup)
    finally:
        shutil.rmtree(folder)
    results = {one.peer.name: one.figures for one in candidates} | yardsticks
    is_full = given.scale == "full"
    text = f"{table(results, is_full)}\n\n{setup.data}. {sentence(machine())}\n"
    print(f"\n{text}")
    given.results.mkdir(parents=True, exist_ok=True)
    body = {"scale": given.scale, "machine": machine(), "figures": results}
    (given.results / "peers.json").write_text(json.dumps(body, indent=1) + "\n")
    (given.results / "peers.md").write_text(text)
    _say(f"written to {given.results / 'peers.json'}")
    if given.readme:
        short = table(results, is_full, False)
        short = f"{short}\n\n{setup.data}. {sentence(machine())}\n"
        README.write_text(
            BLOCK.sub(lambda m: f"{m[1]}{short}{m[2]}", README.read_text())
        )
    missed = misses(results, is_full)
    if missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if missed or "elanus" not in results else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench.peers", description="Measure Elanus beside other servers."
    )
    add = parser.add_argument
    add("--scale", choices=["full", "small"], default="full")
    add("--only", nargs="+", choices=PEERS, default=None, metavar="NAME")
    add("--part", choices=["all", "writes", "searches"], default="all")
    add("--rounds", type=int, help="of the measurements; by default as the scale has")
    add("--folder", type=Path, default=Path("bench-data"), help="on a real disk")
    add("--real", type=Path, help="folder of more real sentences; see bench/README.md")
    add("--results", type=Path, default=Path("bench-results"))
    add("--readme", action="store_true", help="put the table into the README")
    given = parser.parse_args()
    if given.only is None:
        # A look needs no network.
        given.only = list(PEERS) if given.scale == "full" else ["elanus"]
    return given


def _measured(
    given: argparse.Namespace, setup: Setup
) -> tuple[list[Candidate], dict[str, dict[str, list[float]]]]:
    pace = PACES[given.scale]
    rows = setup.scale.rows
    _say(f"{rows:,} vectors of {setup.queries().shape[1]} dimensions")
    data = write_data(setup)
    candidates: list[Candidate] = []
    yardsticks: dict[str, dict[str, list[float]]] = {}
    try:
        for name in given.only:
            peer = PEERS[name](setup.folder / name)
            try:
                say = partial(_say_of, name)
                candidates.append(
                    start(peer, data, say)
                    if given.part == "writes"
                    else load(peer, data, pace, say)
                )
            except Unavailable as reason:
                _say(f"{name} is left out: {reason}")
        if given.part != "searches":
            # the index makes no difference to what is acknowledged
            writers = [one for one in candidates if one.peer.name != AUTO]
            yardsticks = measure_writes(writers, data, pace, _say)
        if given.part == "writes":
            return candidates, yardsticks
        for number in range(given.rounds or pace.rounds):
            measure_round(candidates, number, rows, pace, _say)
        for candidate in candidates:
            try:
                measure_rest(candidate, data, pace, _say)
            except Unavailable as reason:
                _say(f"{candidate.peer.name}: {reason}")
    finally:
        for candidate in candidates:
            candidate.clients.close()
            candidate.peer.stop()
    return candidates, yardsticks


def _say_of(name: str, text: str) -> None:
    _say(f"{name}: {text}")


def _say(text: str) -> None:
    print(f"{time.perf_counter() - _BEGIN:6.1f} s  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

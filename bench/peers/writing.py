"""Acknowledged writes of all servers in turns, beside the least that they could cost.

Two yardsticks stand beside the servers: one that only parses the message and says that
all went well, and a process that copies the bytes of the rows and syncs them twice, as
a log and a column file do.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.peers.clients import ClientFailed, Clients, Data, Job, connected
from bench.peers.loading import Candidate, Pace, Say
from bench.peers.parser import ParserPeer
from bench.peers.write_work import collection_of, create
from bench.setup import BATCH

DIMS = (384, 768)
SCALAR_BYTES = 40  # of a row: two numbers of eight bytes, and a title
TWICE = "copied twice"


def measure_writes(
    candidates: list[Candidate], data: Data, pace: Pace, say: Say
) -> dict[str, dict[str, list[float]]]:
    """Rounds of inserts, upserts and deletes; figures of the yardsticks by name.

    The candidates' own figures are noted with them.
    """
    parser = _parser(data)
    twice: dict[str, list[float]] = {}
    try:
        servers = [*candidates, parser]
        for server in servers:
            with connected(server.peer.uri) as client:
                for dim in DIMS:
                    create(client, dim)
        for number in range(pace.write_rounds):
            first = number % len(servers)
            job = Job("write", pace.write_s, width=pace.write_rows, seed=number)
            for dim in DIMS:
                for server in servers[first:] + servers[:first]:
                    _turn(server, replace(job, write="insert", dim=dim), say)
                _copy_twice(data.folder, dim, twice)
            for kind in ("upsert", "delete"):
                for server in candidates[::-1] if number % 2 else candidates:
                    _turn(server, replace(job, write=kind, dim=DIMS[0]), say)
        for server in candidates:
            with connected(server.peer.uri) as client:
                for dim in DIMS:
                    client.drop_collection(collection_of(dim))
    finally:
        parser.clients.close()
        parser.peer.stop()
    return {parser.peer.name: parser.figures, TWICE: twice}


def _parser(data: Data) -> Candidate:
    peer = ParserPeer(data.folder / ParserPeer.name)
    peer.start()
    return Candidate(peer, Clients(peer.uri, data, 1))


def _turn(server: Candidate, job: Job, say: Say) -> None:
    """One turn of one server."""
    name = f"{job.write}_{job.dim}"
    before = server.peer.cpu_s()
    try:
        (outcome,) = server.clients.run(job)
    except ClientFailed as error:
        say(f"{name}: {server.peer.name} fails: {error}")
        return
    written = len(outcome.waits) * BATCH
    server.note(f"{name}_rows_s", written / outcome.seconds)
    server.note(f"{name}_ms", np.median(outcome.waits) * 1e3)
    server.note(f"{name}_cpu_us", (server.peer.cpu_s() - before) / written * 1e6)
    say(f"{name}: {server.peer.name} {written / outcome.seconds:,.0f} rows/s")


def _copy_twice(folder: Path, dim: int, figures: dict[str, list[float]]) -> None:
    """Copy the bytes of a batch, write and sync them, twice; per row as a server's."""
    batch = np.random.default_rng(dim).bytes(BATCH * (4 * dim + SCALAR_BYTES))
    paths = [folder / f"twice-{number}.bin" for number in range(2)]
    flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC
    files = [os.open(path, flags) for path in paths]
    cpu_s, waits = time.process_time(), []
    try:
        for _ in range(20):
            begin = time.perf_counter()
            for file in files:
                os.write(file, bytearray(batch))
                os.fdatasync(file)
            waits.append(time.perf_counter() - begin)
    finally:
        for file, path in zip(files, paths, strict=True):
            os.close(file)
            path.unlink()
    cpu_us = (time.process_time() - cpu_s) / len(waits) / BATCH * 1e6
    figures.setdefault(f"insert_{dim}_cpu_us", []).append(cpu_us)
    figures.setdefault(f"insert_{dim}_ms", []).append(float(np.median(waits)) * 1e3)

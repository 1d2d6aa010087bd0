"""The first part of a run: a peer started, filled, built, and its efforts found."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from pymilvus import DataType, MilvusClient, MilvusException

from bench.peers.clients import (
    CLIENTS,
    COLLECTION,
    METRIC,
    ClientFailed,
    Clients,
    Data,
    Job,
    connected,
)
from bench.peers.environments import Unavailable
from bench.peers.peer import Peer, unused_port
from bench.setup import DIM, LIMIT, Setup

# Steps of a tenth: with larger ones a peer that just misses a recall is punished.
EFFORTS = tuple(sorted({round(10 * 1.1**step) for step in range(43)}))
RECALLS = (0.95, 0.99)
QUIET_CORES = 0.3
BUILD_S = 300.0
COLD_S = 120.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Pace:
    """How long each step takes; short for a look, longer to be believed.

    Attributes:
        patience_s: no further restart of a peer after so long.
        write_rounds, write_rows, write_s: turns of each kind of write; a turn ends
            after so many rows, or so long.
    """

    turn_s: float
    rounds: int
    starts: int
    quiet_s: float
    swept_queries: int
    patience_s: float
    write_rounds: int = 4
    write_rows: int = 25_000
    write_s: float = 4.0


PACES = {
    "full": Pace(
        turn_s=2.0, rounds=3, starts=3, quiet_s=60.0, swept_queries=500, patience_s=30.0
    ),
    "small": Pace(
        turn_s=0.5,
        rounds=1,
        starts=1,
        quiet_s=5.0,
        swept_queries=100,
        patience_s=5.0,
        write_rounds=1,
        write_rows=2_000,
    ),
}


@dataclass
class Candidate:
    """A peer that runs, its clients, and what was measured of it so far.

    Attributes:
        figures: by name; several values where there were rounds.
        efforts: ``ef`` that reaches each recall.
    """

    peer: Peer
    clients: Clients
    figures: dict[str, list[float]] = field(default_factory=dict)
    efforts: dict[float, int] = field(default_factory=dict)

    def note(self, name: str, value: float) -> None:
        """Add a value of a figure."""
        self.figures.setdefault(name, []).append(float(value))


def write_data(setup: Setup) -> Data:
    """Write vectors, queries, ranks and the true neighbours for all processes."""
    vectors, queries = setup.vectors(), setup.queries()
    scores = queries @ vectors.T
    best = np.argpartition(-scores, LIMIT, axis=1)[:, :LIMIT]
    rank = np.random.default_rng(3).permutation(len(vectors))
    named = {"vectors": vectors, "queries": queries, "rank": rank, "truth": best}
    for name, values in named.items():
        np.save(setup.folder / f"{name}.npy", values)
    return Data(setup.folder)


def start(peer: Peer, data: Data, say: Say) -> Candidate:
    """Start a peer on an empty folder, and its clients.

    Raises:
        Unavailable: it does not start here.
    """
    with suppress(MilvusException):
        # Nobody is there: what the first client of a process loads is loaded now.
        MilvusClient(f"http://127.0.0.1:{unused_port()}", timeout=0.1)
    begin = peer.start()
    try:
        with connected(peer.uri, COLD_S) as client:
            ready_s = _until_answered(client, begin)
        say(f"answers after {ready_s:.1f} s")
        clients = Clients(peer.uri, data, CLIENTS)
    except BaseException as error:
        peer.stop()
        if isinstance(error, (MilvusException, EOFError)):
            raise Unavailable(str(error)) from error
        raise
    return Candidate(peer, clients, {"start_s": [ready_s]})


def load(peer: Peer, data: Data, pace: Pace, say: Say) -> Candidate:
    """Start a peer on an empty folder, fill it and wait until its graph is built.

    Raises:
        Unavailable: it does not start here, or fails.
    """
    candidate = start(peer, data, say)
    try:
        with connected(peer.uri) as client:
            _create(client, peer)
            _fill(candidate, client, len(data.load("rank")), say)
            _build(candidate, client, len(data.load("rank")), say)
        _wait_until_quiet(peer, pace)
        _find_efforts(candidate, pace, say)
    except BaseException as error:
        candidate.clients.close()
        peer.stop()
        if isinstance(error, (MilvusException, ClientFailed)):
            raise Unavailable(str(error)) from error
        raise
    return candidate


def _until_answered(client: MilvusClient, begin: float) -> float:
    while True:
        try:
            client.list_collections()
            return time.perf_counter() - begin
        except MilvusException:
            if time.perf_counter() - begin > COLD_S:
                raise
            time.sleep(0.1)


def _create(client: MilvusClient, peer: Peer) -> None:
    schema = client.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("rank", DataType.INT64)
    index = client.prepare_index_params()
    index.add_index(
        "vector",
        index_type=peer.index_type,
        metric_type=METRIC,
        params=dict(peer.index_params),
    )
    client.create_collection(
        COLLECTION, schema=schema, index_params=index, num_shards=1
    )


def _fill(candidate: Candidate, client: MilvusClient, rows: int, say: Say) -> None:
    """Insert everything from one client; acknowledged first, then searchable."""
    before = candidate.peer.cpu_s()
    (outcome,) = candidate.clients.run(Job("insert"))
    begin = time.perf_counter()
    while True:
        found = client.query(
            COLLECTION, output_fields=["count(*)"], consistency_level="Strong"
        )
        if found[0]["count(*)"] == rows:
            break
    behind_s = time.perf_counter() - begin
    candidate.note("insert_rows_s", rows / outcome.seconds)
    candidate.note("insert_p99_ms", np.percentile(outcome.waits, 99) * 1e3)
    candidate.note("insert_cpu_us", (candidate.peer.cpu_s() - before) / rows * 1e6)
    candidate.note("searchable_s", outcome.seconds + behind_s)
    say(
        f"{rows / outcome.seconds:,.0f} rows/s acknowledged, all found "
        f"{behind_s:.2f} s later"
    )


def _build(candidate: Candidate, client: MilvusClient, rows: int, say: Say) -> None:
    begin = time.perf_counter()
    client.flush(COLLECTION)
    while time.perf_counter() - begin < BUILD_S:
        state = client.describe_index(COLLECTION, "vector")
        indexed = int(state.get("indexed_rows", rows))
        if indexed >= rows and not int(state.get("pending_index_rows", 0)):
            break
        time.sleep(0.1)
    candidate.note("build_s", time.perf_counter() - begin)
    # What was searched while it was new is left, what is built is taken.
    client.release_collection(COLLECTION)
    client.load_collection(COLLECTION)
    say(f"built {candidate.figures['build_s'][0]:.1f} s after the last insert")


def _wait_until_quiet(peer: Peer, pace: Pace) -> None:
    until = time.perf_counter() + pace.quiet_s
    while time.perf_counter() < until:
        before = peer.cpu_s()
        time.sleep(1.0)
        if peer.cpu_s() - before < QUIET_CORES:
            return


def _find_efforts(candidate: Candidate, pace: Pace, say: Say) -> None:
    """The least ``ef`` of the list that reaches each recall, by bisection."""
    known: dict[int, float] = {}

    def measured(effort: int) -> float:
        if effort not in known:
            job = Job("recall", ef=effort, width=pace.swept_queries)
            known[effort] = candidate.clients.run(job)[0].recall
        return known[effort]

    low = 0
    for wanted in RECALLS:
        high = len(EFFORTS) - 1
        while low < high:
            middle = (low + high) // 2
            if measured(EFFORTS[middle]) >= wanted:
                high = middle
            else:
                low = middle + 1
        candidate.efforts[wanted] = EFFORTS[low]
        candidate.note(f"ef_{wanted}", EFFORTS[low])
        say(f"recall {measured(EFFORTS[low]):.4f} at ef {EFFORTS[low]}")

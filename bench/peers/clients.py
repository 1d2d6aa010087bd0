"""Client processes: what is timed runs in them, through pymilvus as a program would."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from pymilvus import MilvusClient, MilvusException

from bench.peers.write_work import writing
from bench.setup import BATCH, LIMIT, recall

COLLECTION = "docs"
METRIC = "COSINE"
CLIENTS = 4
_CHECKED = 100  # filtered answers compared with an exact search, per client
_WARM_UP = 20


@dataclass(frozen=True)
class Job:
    """What a client does, again and again for ``seconds``.

    Attributes:
        kind: a method of :class:`Work`.
        width: rows that the filter lets pass, or that are written at most.
        seed: of what differs from request to request; the turn of a write.
        write: "insert", "upsert" or "delete".
        dim: of the vectors that are written.
    """

    kind: str
    seconds: float = 0.0
    ef: int = 0
    width: int = 0
    seed: int = 0
    write: str = ""
    dim: int = 0


@dataclass
class Outcome:
    """What came of a job.

    Attributes:
        waits: seconds of each call, (calls,).
        recall: of the answers; NaN where there is none.
        seconds: from the first call to the last answer.
        calls: how many there were, those before the measurement included.
    """

    waits: np.ndarray = field(default_factory=lambda: np.empty(0))
    recall: float = float("nan")
    seconds: float = 0.0
    calls: int = 0
    error: str = ""


@dataclass(frozen=True)
class Data:
    """The files that all processes share."""

    folder: Path

    def load(self, name: str) -> np.ndarray:
        """``vectors``, ``queries``, ``rank`` or ``truth``, mapped."""
        return np.load(self.folder / f"{name}.npy", mmap_mode="r")


class Work:
    """One client's side of every job."""

    def __init__(self, uri: str, data: Data, number: int) -> None:
        """Connect; clients of one server have different numbers."""
        self.client = MilvusClient(uri, timeout=60)
        self.calls = 0
        self.number = number
        self.data = data
        self.vectors = data.load("vectors")
        self.queries = np.array(data.load("queries"))
        self.rank = np.array(data.load("rank"))
        self.truth = np.array(data.load("truth"))

    def prepare(self, job: Job) -> Callable[[], Outcome]:
        """All that is not to be timed; the rest comes back as a function."""
        self.calls = 0
        prepared: Callable[[], Outcome] = getattr(self, f"_{job.kind}")(job)
        return prepared

    def _search_rows(
        self, queries: Sequence[np.ndarray], ef: int, text: str = ""
    ) -> Any:
        return self.client.search(
            COLLECTION,
            data=list(queries),
            anns_field="vector",
            filter=text,
            limit=LIMIT,
            search_params={"metric_type": METRIC, "params": {"ef": ef}},
        )

    def _insert(self, job: Job) -> Callable[[], Outcome]:
        rows = [
            {"id": number, "vector": vector, "rank": int(rank)}
            for number, (vector, rank) in enumerate(
                zip(np.array(self.vectors), self.rank, strict=True)
            )
        ]
        batches = iter([rows[at : at + BATCH] for at in range(0, len(rows), BATCH)])

        def insert() -> Outcome:
            def one() -> None:
                self.client.insert(COLLECTION, next(batches))

            return _timed(one, len(rows) // BATCH)

        return insert

    def _write(self, job: Job) -> Callable[[], Outcome]:
        """Batches of 1,000 rows of the turn: in order at first, then shuffled."""
        keys = np.arange(job.seed * job.width, (job.seed + 1) * job.width)
        if job.write != "insert":
            keys = np.random.default_rng(job.seed).permutation(keys)
        calls = writing(self.client, job.write, job.dim, self.vectors, keys)
        batches = iter(calls)
        return lambda: _timed(lambda: next(batches)(), len(calls), job.seconds)

    def _recall(self, job: Job) -> Callable[[], Outcome]:
        """Recall at an effort, over the first ``width`` queries."""

        def measure() -> Outcome:
            found = []
            for start in range(0, job.width, 100):
                part = self.queries[start : min(start + 100, job.width)]
                found += [_ids(hits) for hits in self._search_rows(part, job.ef)]
            return Outcome(recall=recall(np.stack(found), self.truth[: job.width]))

        return measure

    def _search(self, job: Job) -> Callable[[], Outcome]:
        """One query a call, in an order that differs among clients."""
        order = self._order(job)
        found: list[tuple[int, np.ndarray]] = []

        def one() -> None:
            at = next(order)
            found.append((at, _ids(self._search_rows([self.queries[at]], job.ef)[0])))

        def measure() -> Outcome:
            outcome = _timed(one, seconds=job.seconds)
            true = self.truth[[at for at, _ in found]]
            outcome.recall = recall(np.stack([ids for _, ids in found]), true)
            return outcome

        self._warm_up(job, one)
        return measure

    def _filtered(self, job: Job) -> Callable[[], Outcome]:
        """One query a call, each with a filter of its own."""
        order = self._order(job)
        rng = np.random.default_rng((job.seed, self.number, job.width))
        found: list[tuple[int, int, np.ndarray]] = []

        def one() -> None:
            at, (text, start) = next(order), self._ranks(rng, job.width)
            hits = self._search_rows([self.queries[at]], job.ef, text)[0]
            found.append((at, start, _ids(hits)))

        def measure() -> Outcome:
            outcome = _timed(one, seconds=job.seconds)
            outcome.recall = self._filtered_recall(found[-_CHECKED:], job.width)
            return outcome

        self._warm_up(job, one)
        return measure

    def _filtered_recall(
        self, found: list[tuple[int, int, np.ndarray]], width: int
    ) -> float:
        row_of_rank = np.argsort(self.rank)
        shares = []
        for at, start, ids in found:
            rows = row_of_rank[start : start + width]
            scores = np.array(self.vectors[rows]) @ self.queries[at]
            true = rows[np.argsort(-scores, kind="stable")[:LIMIT]]
            shares.append(len(np.intersect1d(ids, true)) / LIMIT)
        return float(np.mean(shares))

    def _bulk(self, job: Job) -> Callable[[], Outcome]:
        """1,000 queries a call: a neighbour that asks for a lot."""
        many = np.resize(self.queries, (1_000, self.queries.shape[1]))
        return lambda: _timed(
            lambda: self._search_rows(many, job.ef), seconds=job.seconds
        )

    def _get(self, job: Job) -> Callable[[], Outcome]:
        """Ten rows by their keys."""
        rng = np.random.default_rng((job.seed, self.number))

        def one() -> None:
            keys = rng.choice(len(self.rank), LIMIT, replace=False).tolist()
            rows = self.client.get(COLLECTION, ids=keys, output_fields=["rank"])
            known = {row["id"]: row["rank"] for row in rows}
            assert known == {key: self.rank[key] for key in keys}, "wrong rows"

        self._warm_up(job, one)
        return lambda: _timed(one, seconds=job.seconds)

    def _query(self, job: Job) -> Callable[[], Outcome]:
        """Ten rows by a filter, each time another."""
        rng = np.random.default_rng((job.seed, self.number))

        def one() -> None:
            text, start = self._ranks(rng, LIMIT)
            rows = self.client.query(COLLECTION, filter=text, output_fields=["rank"])
            found = sorted(row["rank"] for row in rows)
            assert found == list(range(start, start + LIMIT)), "wrong rows"

        self._warm_up(job, one)
        return lambda: _timed(one, seconds=job.seconds)

    def _count(self, job: Job) -> Callable[[], Outcome]:
        def one() -> None:
            rows = self.client.query(COLLECTION, output_fields=["count(*)"])
            assert rows[0]["count(*)"] == len(self.rank), "a wrong count"

        self._warm_up(job, one)
        return lambda: _timed(one, seconds=job.seconds)

    def _filtered_count(self, job: Job) -> Callable[[], Outcome]:
        rng = np.random.default_rng((job.seed, self.number))

        def one() -> None:
            text, _ = self._ranks(rng, job.width)
            rows = self.client.query(
                COLLECTION, filter=text, output_fields=["count(*)"]
            )
            assert rows[0]["count(*)"] == job.width, "a wrong count"

        self._warm_up(job, one)
        return lambda: _timed(one, seconds=job.seconds)

    def _ranks(self, rng: np.random.Generator, width: int) -> tuple[str, int]:
        """A filter that so many rows pass, and the least rank of them."""
        start = int(rng.integers(len(self.rank) - width + 1))
        return f"rank >= {start} and rank < {start + width}", start

    def _order(self, job: Job) -> Iterator[int]:
        rng = np.random.default_rng((job.seed, self.number))
        while True:
            yield from rng.permutation(len(self.queries)).tolist()

    def _warm_up(self, job: Job, one: Callable[[], None]) -> None:
        until = time.perf_counter() + job.seconds / 4
        for _ in range(_WARM_UP):
            if time.perf_counter() < until:
                one()
                self.calls += 1


def _ids(hits: Any) -> np.ndarray:
    """The keys of one query's hits, -1 where fewer than wanted came back."""
    ids = np.full(LIMIT, -1, np.int64)
    ids[: len(hits)] = [hit["id"] for hit in hits]
    return ids


def _timed(
    one: Callable[[], object], times: int | None = None, seconds: float = 0.0
) -> Outcome:
    """Do it so many times, or until the time is over; at most, if both are given."""
    waits = []
    begin = end = time.perf_counter()
    while (times is None or len(waits) < times) and (
        not seconds or end < begin + seconds
    ):
        one()
        now = time.perf_counter()
        waits.append(now - end)
        end = now
    return Outcome(np.array(waits), seconds=end - begin)


def _serve(connection: Connection, uri: str, data: Data, number: int) -> None:
    """A client process: takes jobs until it is sent None."""
    work = Work(uri, data, number)
    connection.send(None)
    while (job := connection.recv()) is not None:
        try:
            run = work.prepare(job)
            connection.send(None)
            connection.recv()
            outcome = run()
            outcome.calls = work.calls + len(outcome.waits)
            connection.send(outcome)
        except Exception as error:  # noqa: BLE001 (told to the measuring process)
            connection.send(Outcome(error=f"{type(error).__name__}: {error}"))


class Clients:
    """Client processes of one server, connected and waiting for jobs."""

    def __init__(self, uri: str, data: Data, count: int) -> None:
        """Start them; :meth:`close` ends them."""
        spawn = multiprocessing.get_context("spawn")
        self._pairs = []
        for number in range(count):
            ours, theirs = spawn.Pipe()
            process = spawn.Process(
                target=_serve, args=(theirs, uri, data, number), daemon=True
            )
            process.start()
            theirs.close()
            self._pairs.append((process, ours))
        for _, connection in self._pairs:
            connection.recv()

    def run(self, *jobs: Job) -> list[Outcome]:
        """One job per client, started together.

        Raises:
            ClientFailed: any of them failed.
        """
        connections = [connection for _, connection in self._pairs[: len(jobs)]]
        for connection, job in zip(connections, jobs, strict=True):
            connection.send(job)
        early = [connection.recv() for connection in connections]
        for connection, outcome in zip(connections, early, strict=True):
            if outcome is None:
                connection.send(None)
        outcomes: list[Outcome] = [
            connection.recv() if outcome is None else outcome
            for connection, outcome in zip(connections, early, strict=True)
        ]
        for outcome in outcomes:
            if outcome.error:
                raise ClientFailed(outcome.error)
        return outcomes

    def close(self) -> None:
        """End the processes."""
        while self._pairs:
            process, connection = self._pairs.pop()
            with suppress(BrokenPipeError):
                connection.send(None)
            process.join(10)
            process.kill()
            connection.close()


class ClientFailed(Exception):
    """A client's call failed; the text is its error."""


@contextmanager
def connected(uri: str, patience_s: float = 0.0) -> Iterator[MilvusClient]:
    """A client in this process, for what is not timed.

    Some servers listen long before they greet anybody: they are asked again until the
    patience is over.
    """
    begin = time.perf_counter()
    while True:
        try:
            client = MilvusClient(uri, timeout=60)
            break
        except MilvusException:
            if time.perf_counter() - begin >= patience_s:
                raise
    try:
        yield client
    finally:
        client.close()

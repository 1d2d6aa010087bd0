"""The second part of a run: rounds over the loaded peers, and how they start again."""

from __future__ import annotations

import time

import numpy as np
from pymilvus import MilvusClient, MilvusException

from bench.peers.clients import (
    CLIENTS,
    COLLECTION,
    METRIC,
    ClientFailed,
    Data,
    Job,
    connected,
)
from bench.peers.environments import Unavailable
from bench.peers.loading import COLD_S, RECALLS, Candidate, Pace, Say
from bench.peers.peer import Peer
from bench.setup import LIMIT

SHARES = (0.5, 0.1, 0.01, 0.001)
_SAME = 0.9  # of the answer before: built anew, a graph may differ a little
MIB = 2**20


def measure_round(
    candidates: list[Candidate], number: int, rows: int, pace: Pace, say: Say
) -> None:
    """One turn of each measurement for each peer, in an order that changes."""
    first = number % len(candidates)
    turn = candidates[first:] + candidates[:first]
    for name in _jobs(turn[0], rows, number, pace):
        for candidate in turn:
            jobs = _jobs(candidate, rows, number, pace)[name]
            try:
                rate = _measure(candidate, name, jobs)
            except ClientFailed as error:
                say(f"{name}: {candidate.peer.name} fails: {error}")
            else:
                say(f"{name}: {candidate.peer.name} {rate:,.0f}/s")


def _jobs(
    candidate: Candidate, rows: int, number: int, pace: Pace
) -> dict[str, list[Job]]:
    """What the clients do, by the name of the measurement."""
    seconds, best = pace.turn_s, candidate.efforts[max(RECALLS)]
    jobs: dict[str, list[Job]] = {}
    for wanted in RECALLS:
        search = Job("search", seconds, candidate.efforts[wanted], seed=number)
        for clients in (1, CLIENTS):
            jobs[f"search_{wanted}_{clients}"] = [search] * clients
    for share in SHARES:
        width = max(LIMIT, round(rows * share))
        jobs[f"filtered_{share}"] = [Job("filtered", seconds, best, width, number)]
    jobs["get"] = [Job("get", seconds, seed=number)]
    jobs["query"] = [Job("query", seconds, seed=number)]
    jobs["count"] = [Job("count", seconds, seed=number)]
    tenth = round(rows / 10)
    jobs["filtered_count"] = [Job("filtered_count", seconds, 0, tenth, number)]
    jobs["bulk"] = [Job("bulk", seconds, best)]
    search = Job("search", 2 * seconds, best, seed=number)
    jobs["beside_bulk"] = [search, Job("bulk", 2 * seconds, best)]
    return jobs


def _measure(candidate: Candidate, name: str, jobs: list[Job]) -> float:
    """Run one measurement and note its figures; calls per second of the first kind."""
    before = candidate.peer.cpu_s()
    outcomes = candidate.clients.run(*jobs)
    cpu_s = candidate.peer.cpu_s() - before
    # where there is another client, the bulk is its neighbour
    counted = [
        o
        for o, job in zip(outcomes, jobs, strict=True)
        if job.kind != "bulk" or len(jobs) == 1
    ]
    waits_ms = np.concatenate([outcome.waits for outcome in counted]) * 1e3
    calls = sum(outcome.calls for outcome in outcomes)
    rate = sum(len(outcome.waits) / outcome.seconds for outcome in counted)
    candidate.note(f"{name}_qps", rate)
    candidate.note(f"{name}_p50_ms", np.percentile(waits_ms, 50))
    candidate.note(f"{name}_p99_ms", np.percentile(waits_ms, 99))
    candidate.note(f"{name}_cpu_ms", cpu_s / calls * 1e3)
    candidate.note(f"{name}_recall", np.mean([outcome.recall for outcome in counted]))
    return rate


def measure_rest(candidate: Candidate, data: Data, pace: Pace, say: Say) -> None:
    """Idle time, memory and disk; then the peer ends, and starts again on its data.

    Raises:
        Unavailable: it does not start again.
    """
    peer = candidate.peer
    before = peer.cpu_s()
    time.sleep(min(2.0, pace.turn_s))
    candidate.note("idle_cores", (peer.cpu_s() - before) / min(2.0, pace.turn_s))
    rss, pss = peer.memory()
    candidate.note("rss_mib", rss / MIB)
    candidate.note("pss_mib", pss / MIB)
    candidate.note("disk_mib", peer.disk() / MIB)
    candidate.clients.close()
    if pace.starts:
        _restart(candidate, data, pace, say)


def _restart(candidate: Candidate, data: Data, pace: Pace, say: Say) -> None:
    peer, query = candidate.peer, np.array(data.load("queries")[0])
    with connected(peer.uri) as client:
        known = _first_answer(client, query)
    begin = time.perf_counter()
    while len(candidate.figures.get("cold_start_s", ())) < pace.starts:
        peer.stop()
        candidate.note("cold_start_s", _cold_start(peer, query, known))
        if time.perf_counter() - begin > pace.patience_s:
            break
    peer.stop()
    starts = ", ".join(f"{value:.2f}" for value in candidate.figures["cold_start_s"])
    say(f"{peer.name}: first answer {starts} s after the start of its process")


def _cold_start(peer: Peer, query: np.ndarray, known: list[int]) -> float:
    """Seconds from the start of the process to the answer that it gave before."""
    begin = peer.start()
    answer: object = None
    while time.perf_counter() - begin < COLD_S:
        try:
            with connected(peer.uri) as client:
                found = _first_answer(client, query)
        except MilvusException as error:
            answer = error
        else:
            if len(set(found) & set(known)) >= _SAME * LIMIT:
                return time.perf_counter() - begin
            answer = f"the answer {found} instead of {known}"
        time.sleep(0.02)
    raise Unavailable(f"does not start again: {answer}")


def _first_answer(client: MilvusClient, query: np.ndarray) -> list[int]:
    def search() -> list[int]:
        hits = client.search(
            COLLECTION,
            data=[query],
            anns_field="vector",
            limit=LIMIT,
            search_params={"metric_type": METRIC, "params": {"ef": 128}},
        )[0]
        return [hit["id"] for hit in hits]

    try:
        return search()
    except MilvusException:
        # Some do not remember what was loaded, some are still at it.
        client.load_collection(COLLECTION)
        return search()

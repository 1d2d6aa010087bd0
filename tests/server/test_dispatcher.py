"""Between arrival and answer: limits, deadlines, lanes, company, draining."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from elanus.errors import InvalidParameter, RateLimited
from elanus.server.grpc.backlog import MERGED_CALLS, Backlog
from elanus.server.grpc.dispatcher import Limits
from elanus.server.grpc.handlers import Lane
from elanus.server.grpc.messages import METHODS
from elanus.server.grpc.status import GrpcCode
from elanus.service import replies as a
from elanus.service import requests as r
from server.fake_service import REPLIES, FakeService
from server.wire import SMALL, HandCall, dispatching, message

WAIT_S = 20


class SignalledCall(HandCall):
    """A call that can be waited for."""

    def __init__(self, method: str, payload: bytes, **options: float | None) -> None:
        super().__init__(method, payload, deadline=options.get("deadline"))
        self.answered = threading.Event()

    def respond(self, payload: bytes) -> None:
        """Keep the reply and tell of it."""
        super().respond(payload)
        self.answered.set()

    def fail(self, code: GrpcCode, text: str) -> None:
        """Keep the reason and tell of it."""
        super().fail(code, text)
        self.answered.set()


def search() -> bytes:
    """The smallest search."""
    params = [{"key": "topk", "value": "1"}]
    payload: bytes = message(
        "milvus.SearchRequest", search_params=params
    ).SerializeToString()
    return payload


def test_a_large_request_is_refused_for_good() -> None:
    """Clients do not repeat it, and it never counts as being served."""
    limits = Limits(request_bytes=100, threads=SMALL)
    flush = message("milvus.FlushRequest", db_name="x" * 98).SerializeToString()
    fits, too_large = HandCall("Flush", flush), HandCall("Flush", flush + b"\0")
    with dispatching(FakeService(), limits) as dispatcher:
        dispatcher.answer(too_large)
        dispatcher.answer(fits)
        assert dispatcher.in_flight_bytes == 0
    ((code, text),) = too_large.failures
    assert code is GrpcCode.RESOURCE_EXHAUSTED
    assert text == "grpc: received message larger than max (101 vs. 100)"
    assert fits.replies


def test_too_many_bytes_at_once_are_put_off() -> None:
    """Beyond the bound a call is answered with a code that clients repeat it after."""
    service = FakeService()
    service.gate.clear()
    limits = Limits(in_flight_bytes=10_000, threads=SMALL)
    calls = [SignalledCall("Flush", b"") for _ in range(8)]
    with dispatching(service, limits) as dispatcher:
        for call in calls:
            dispatcher.submit(call)
        refused = [call for call in calls if call.replies]
        held = dispatcher.in_flight_bytes
        service.gate.set()
        assert all(call.answered.wait(WAIT_S) for call in calls)
        assert dispatcher.drain(WAIT_S)
        assert dispatcher.in_flight_bytes == 0
    assert held <= 10_000
    assert 0 < len(refused) < len(calls)
    for call in refused:
        status = METHODS["Flush"].reply.FromString(call.replies[0]).status
        assert (status.code, status.error_code) == (8, 49)
        assert status.retriable


def test_a_single_call_is_served_however_large() -> None:
    """The bound on all requests never keeps a permitted one out of an idle server."""
    limits = Limits(request_bytes=1 << 20, in_flight_bytes=10, threads=SMALL)
    call = SignalledCall("Flush", b"")
    with dispatching(FakeService(), limits) as dispatcher:
        dispatcher.submit(call)
        assert call.answered.wait(WAIT_S)
    assert not METHODS["Flush"].reply.FromString(call.replies[0]).status.code


def test_a_short_call_without_company_is_answered_on_arrival() -> None:
    """Else, and while others wait, a working thread answers: arrivals go on."""
    service = FakeService()
    served_by = _noting_threads(service)
    here = threading.current_thread().name
    with dispatching(service) as dispatcher:
        for are_short in (True, False):
            service.all_are_short = are_short
            call = SignalledCall("Search", search())
            dispatcher.submit_together([call])
            assert call.answered.wait(WAIT_S)
            assert (served_by.pop() == here) is are_short
        service.all_are_short = True
        service.gate.clear()
        held = [SignalledCall("Search", search()) for _ in range(4)]
        for call in held:
            dispatcher.submit(call)
        assert service.entered.acquire(timeout=WAIT_S)
        last = SignalledCall("Search", search())
        dispatcher.submit_together([last])
        assert not last.answered.is_set()
        service.gate.set()
        assert all(call.answered.wait(WAIT_S) for call in (*held, last))
        assert here not in served_by
        assert dispatcher.drain(WAIT_S)
        assert dispatcher.in_flight_bytes == 0


def test_short_calls_that_came_together_are_handled_so_on_arrival() -> None:
    """Those of one plan, as many as are short; the others go to working threads."""
    service = FakeService()
    service.all_are_short = True
    service.key = _limit
    served_by = _noting_threads(service)
    calls = [SignalledCall("Search", _search_of(limit)) for limit in (1, 2, 1, 1)]
    with dispatching(service) as dispatcher:
        dispatcher.submit_together(calls)
        assert all(call.answered.wait(WAIT_S) for call in calls)
        assert dispatcher.drain(WAIT_S)
    assert service.together == [2]
    assert served_by.count(threading.current_thread().name) == 2
    assert len(served_by) == 4


def _noting_threads(service: FakeService) -> list[str]:
    """Names of the threads that answer from now on, a name per answer."""
    served_by: list[str] = []

    def answer(request: r.Request) -> a.Reply:
        served_by.append(threading.current_thread().name)
        return REPLIES[type(request)]

    service.answer = answer
    return served_by


def test_an_expired_call_is_not_begun() -> None:
    """Work that nobody waits for any more is not done."""
    service = FakeService()
    with dispatching(service) as dispatcher:
        now = dispatcher.monotonic()
        late, early = (
            HandCall("Flush", b"", deadline=now - 1),
            HandCall("Flush", b"", deadline=now + 60),
        )
        dispatcher.answer(late)
        dispatcher.answer(early)
        assert dispatcher.in_flight_bytes == 0
    assert late.failures[0][0] is GrpcCode.DEADLINE_EXCEEDED
    assert len(service.asked) == 1
    assert service.asked[0][1].deadline == now + 60


def test_a_cancelled_call_is_not_begun() -> None:
    """It is dropped without an answer, and its bytes are given back."""
    service = FakeService()
    service.gate.clear()
    first, second = SignalledCall("Flush", b""), SignalledCall("Flush", b"")
    with dispatching(service) as dispatcher:
        dispatcher.submit(first)
        assert service.entered.acquire(timeout=WAIT_S)
        dispatcher.submit(second)
        assert dispatcher.waiting == 1
        second.is_cancelled = True
        service.gate.set()
        assert dispatcher.drain(WAIT_S)
        assert dispatcher.in_flight_bytes == 0
    assert len(service.asked) == 1
    assert second.answers == 0


def test_the_service_can_see_a_cancellation() -> None:
    """A long search may stop when its client has gone."""
    service = FakeService()
    call = HandCall("Flush", b"")
    with dispatching(service) as dispatcher:
        dispatcher.answer(call)
    context = service.asked[0][1]
    assert not context.is_cancelled()
    call.is_cancelled = True
    assert context.is_cancelled()


def test_reads_do_not_wait_for_writes() -> None:
    """A search is answered while every thread for writes waits for a sync."""
    service = FakeService()
    gate = threading.Event()
    plain = service.answer

    def slow(request: r.Request) -> object:
        if isinstance(request, r.Flush):
            assert gate.wait(WAIT_S)
        return plain(request)

    service.answer = slow  # type: ignore[assignment]
    writes = [SignalledCall("Flush", b"") for _ in range(3)]
    read = SignalledCall("Search", search())
    with dispatching(service) as dispatcher:
        for call in writes:
            dispatcher.submit(call)
        dispatcher.submit(read)
        assert read.answered.wait(WAIT_S)
        assert not any(call.answered.is_set() for call in writes)
        gate.set()
        assert all(call.answered.wait(WAIT_S) for call in writes)


def test_large_requests_are_decoded_too() -> None:
    """They take another path to the same request."""
    service = FakeService()
    payload = message(
        "milvus.InsertRequest", collection_name="c", hash_keys=[1] * 100_000
    ).SerializeToString()
    call = SignalledCall("Insert", payload)
    with dispatching(service) as dispatcher:
        dispatcher.submit(call)
        assert call.answered.wait(WAIT_S)
    assert service.last == r.Insert("default", "c", "", (), 0)
    assert call.payload == b""


@pytest.mark.parametrize("size", [10, 100_000])
def test_bytes_that_are_no_message_end_the_call(size: int) -> None:
    """Once, and with a code that clients do not repeat the call after."""
    call = SignalledCall("Insert", b"\xff" * size)
    with dispatching(FakeService()) as dispatcher:
        dispatcher.submit(call)
        assert call.answered.wait(WAIT_S)
        assert dispatcher.drain(WAIT_S)
    assert call.answers == 1
    assert call.failures[0][0] is GrpcCode.INVALID_ARGUMENT


def test_draining_finishes_what_is_at_work() -> None:
    """New calls are told to go elsewhere; those at work are answered."""
    service = FakeService()
    service.gate.clear()
    before, after = SignalledCall("Flush", b""), SignalledCall("Flush", b"")
    with dispatching(service) as dispatcher:
        dispatcher.submit(before)
        assert service.entered.acquire(timeout=WAIT_S)
        assert not dispatcher.drain(0.01)
        dispatcher.submit(after)
        assert after.failures[0][0] is GrpcCode.UNAVAILABLE
        service.gate.set()
        assert dispatcher.drain(WAIT_S)
        assert before.replies


def test_every_thread_is_made_ready() -> None:
    """What threads need once is done once in each."""
    ready: list[str] = []
    lock = threading.Lock()

    def on_start() -> None:
        with lock:
            ready.append(threading.current_thread().name)

    threads = {Lane.READ: 2, Lane.LONG: 1, Lane.REMOTE: 1, Lane.OTHER: 3}
    limits = Limits(threads=threads, on_thread_start=on_start)
    with dispatching(FakeService(), limits):
        pass
    assert sorted(ready) == [
        "elanus-long-0",
        "elanus-other-0",
        "elanus-other-1",
        "elanus-other-2",
        "elanus-read-0",
        "elanus-read-1",
        "elanus-remote-0",
    ]


class StubbornCall(HandCall):
    """A call whose transport breaks."""

    def respond(self, payload: bytes) -> None:
        """Break."""
        raise OSError("gone")


def test_a_broken_transport_ends_no_thread() -> None:
    """The next call is served all the same."""
    good = SignalledCall("Flush", b"")
    with dispatching(FakeService()) as dispatcher:
        dispatcher.submit(StubbornCall("Flush", b""))
        dispatcher.submit(good)
        assert good.answered.wait(WAIT_S)
        assert dispatcher.drain(WAIT_S)
        assert dispatcher.in_flight_bytes == 0


def metrics(query: str) -> bytes:
    """A request that can be told from others."""
    made = message("milvus.GetMetricsRequest", request=query)
    payload: bytes = made.SerializeToString()
    return payload


def gathered(service: FakeService, queries: list[str]) -> list[SignalledCall]:
    """Calls that wait behind another one, and are then served together."""
    service.gate.clear()
    service.key = lambda request: (
        "metrics" if isinstance(request, r.GetMetrics) else None
    )
    first = SignalledCall("Flush", b"")
    calls = [SignalledCall("GetMetrics", metrics(query)) for query in queries]
    with dispatching(service) as dispatcher:
        dispatcher.submit(first)
        assert service.entered.acquire(timeout=WAIT_S)
        for call in calls:
            dispatcher.submit(call)
        service.gate.set()
        assert all(call.answered.wait(WAIT_S) for call in calls)
        assert dispatcher.drain(WAIT_S)
        assert dispatcher.in_flight_bytes == 0
    return calls


def reply_to(call: HandCall) -> Any:
    """The one reply of a call."""
    assert call.answers == 1
    return METHODS[call.method].reply.FromString(call.replies[0])


def test_waiting_calls_of_one_plan_are_served_together() -> None:
    """The service gets them in one piece; each caller gets its own answer."""

    def answer(request: r.Request) -> a.Reply:
        if not isinstance(request, r.GetMetrics):
            return REPLIES[type(request)]
        if request.query == "bad":
            raise InvalidParameter("bad")
        return a.Metrics(request.query, "")

    service = FakeService()
    service.answer = answer
    good, bad, other = gathered(service, ["1", "bad", "2"])
    assert service.together == [3]
    assert [reply_to(call).response for call in (good, other)] == ["1", "2"]
    assert reply_to(bad).status.code == 1100


@pytest.mark.parametrize(
    ("error", "code"), [(RateLimited("wait"), 8), (ZeroDivisionError("oh"), 5)]
)
def test_what_fails_together_is_answered_apart(error: Exception, code: int) -> None:
    """When the whole piece fails, every caller is told."""

    class Failing(FakeService):
        """Fails with several requests at once."""

        def handle_together(self, requests: object, contexts: object) -> Any:
            """Fail."""
            raise error

    calls = gathered(Failing(), ["1", "2"])
    assert [reply_to(call).status.code for call in calls] == [code, code]


# --- company --------------------------------------------------------------------------


def waiting(*keys: str | None) -> tuple[Backlog, list[HandCall]]:
    """A backlog of calls with these plan keys."""
    backlog, calls = Backlog(), []
    for key in keys:
        call = HandCall("Search", b"")
        call.plan_key = key
        calls.append(call)
        backlog.put(call)
    return backlog, calls


def test_calls_of_one_plan_are_taken_together() -> None:
    """In order, past calls of other plans, which keep their own order."""
    backlog, calls = waiting("a", "b", "a", None, "b", "a")
    backlog.close(1)
    taken = []
    while (batch := backlog.take()) is not None:
        taken.append([calls.index(call) for call in batch])
    assert taken == [[0, 2, 5], [1, 4], [3]]
    assert len(backlog) == 0


def test_calls_without_a_plan_go_alone() -> None:
    """Two calls that do not say what they share share nothing."""
    backlog, calls = waiting(None, None)
    backlog.close(1)
    assert backlog.take() == [calls[0]]
    assert backlog.take() == [calls[1]]
    assert backlog.take() is None


def test_company_has_a_bound() -> None:
    """A burst of one plan leaves work for other threads."""
    backlog, calls = waiting(*["a"] * (MERGED_CALLS + 5))
    backlog.close(1)
    first, second = backlog.take(), backlog.take()
    assert first == calls[:MERGED_CALLS]
    assert second == calls[MERGED_CALLS:]
    assert backlog.take() is None


def test_nothing_is_lost_among_threads() -> None:
    """With several threads taking and putting, each call is taken once."""
    backlog = Backlog()
    taken: list[HandCall] = []
    lock = threading.Lock()

    def work() -> None:
        while (batch := backlog.take()) is not None:
            with lock:
                taken.extend(batch)  # type: ignore[arg-type]

    def produce(offset: int) -> Callable[[], None]:
        def run() -> None:
            for number in range(500):
                call = HandCall(f"{offset + number}", b"")
                call.plan_key = None if number % 3 == 0 else number % 5
                backlog.put(call)

        return run

    workers = [threading.Thread(target=work) for _ in range(3)]
    producers = [threading.Thread(target=produce(k * 500)) for k in range(3)]
    for thread in workers + producers:
        thread.start()
    for thread in producers:
        thread.join()
    backlog.close(len(workers))
    for thread in workers:
        thread.join()
    assert sorted(int(call.method) for call in taken) == list(range(1500))


class Steps:
    """Work of so many steps; each waits until it is let on."""

    def __init__(self, count: int, served: list[str], name: str = "step") -> None:
        self.left = count
        self.name = name
        self.served = served
        self.begun = threading.Semaphore(0)
        self.let_on = threading.Semaphore(0)

    def advance(self) -> a.Reply | None:
        """One step."""
        self.begun.release()
        assert self.let_on.acquire(timeout=WAIT_S)
        self.left -= 1
        self.served.append(self.name)
        return None if self.left else REPLIES[r.Search]


def _limit(request: r.Request) -> int:
    assert isinstance(request, r.Search)
    return request.options.limit


def _search_of(limit: int, **fields: str) -> bytes:
    params = [{"key": "topk", "value": str(limit)}]
    payload: bytes = message(
        "milvus.SearchRequest", search_params=params, **fields
    ).SerializeToString()
    return payload


def test_a_small_call_does_not_wait_for_a_long_one() -> None:
    """It is answered while a step of the long one is being done."""
    service, served = FakeService(), list[str]()
    work = Steps(3, served)
    service.long = lambda request: work if _limit(request) == 2 else None
    long_call = SignalledCall("Search", _search_of(2))
    small_call = SignalledCall("Search", search())
    with dispatching(service, Limits(threads=SMALL)) as dispatcher:
        dispatcher.submit(long_call)
        assert work.begun.acquire(timeout=WAIT_S)
        dispatcher.submit(small_call)
        assert small_call.answered.wait(WAIT_S)
        assert served == []
        for _ in range(3):
            work.let_on.release()
        assert long_call.answered.wait(WAIT_S)
    assert len(long_call.replies) == len(small_call.replies) == 1
    assert dispatcher.in_flight_bytes == 0


def test_long_calls_take_turns() -> None:
    """With a single thread, the steps of one are done between those of the other."""
    service, served = FakeService(), list[str]()
    works = {limit: Steps(2, served, f"step of {limit}") for limit in (2, 3)}
    service.long = lambda request: works.get(_limit(request))
    calls = [SignalledCall("Search", _search_of(limit)) for limit in works]
    with dispatching(service, Limits(threads=SMALL)) as dispatcher:
        for call in calls:
            dispatcher.submit(call)
        for work in works.values():
            work.let_on.release(2)
        assert all(call.answered.wait(WAIT_S) for call in calls)
    assert served == ["step of 2", "step of 3"] * 2


def test_a_large_read_is_not_for_the_threads_of_small_ones() -> None:
    """Nothing short waits while its text is read; its thread gives way to theirs."""
    service = FakeService()
    seen: dict[str, int] = {}

    def answer(request: r.Request) -> a.Reply:
        niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        seen[threading.current_thread().name] = niceness
        return REPLIES[r.Search]

    service.answer = answer
    calls = [
        SignalledCall("Search", _search_of(1, dsl="x" * size))
        for size in (1, 128 << 10)
    ]
    with dispatching(service, Limits(threads=SMALL)) as dispatcher:
        for call in calls:
            dispatcher.submit(call)
        assert all(call.answered.wait(WAIT_S) for call in calls)
    assert set(seen) == {"elanus-read-0", "elanus-long-0"}
    if sys.platform == "linux":
        assert seen["elanus-long-0"] > seen["elanus-read-0"]


def test_who_waits_for_others_has_threads_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where that shows only once a long read's thread has read the call."""
    service = FakeService()
    monkeypatch.setattr(service, "waits", lambda request: True)
    seen: list[str] = []

    def answer(request: r.Request) -> a.Reply:
        seen.append(threading.current_thread().name)
        return REPLIES[r.Search]

    service.answer = answer
    calls = [
        SignalledCall("Search", _search_of(1, dsl="x" * size))
        for size in (1, 128 << 10)
    ]
    with dispatching(service, Limits(threads=SMALL)) as dispatcher:
        for call in calls:
            dispatcher.submit(call)
        assert all(call.answered.wait(WAIT_S) for call in calls)
        assert dispatcher.drain(WAIT_S)
    assert seen == ["elanus-remote-0"] * 2


def test_a_long_call_that_nobody_waits_for_ends_between_steps() -> None:
    """The rest of its steps is not done, and its bytes are given back."""
    service, served = FakeService(), list[str]()
    work = Steps(1_000, served)
    service.long = lambda request: work
    call = SignalledCall("Search", search())
    with dispatching(service, Limits(threads=SMALL)) as dispatcher:
        dispatcher.submit(call)
        assert work.begun.acquire(timeout=WAIT_S)
        call.is_cancelled = True
        work.let_on.release()
        assert dispatcher.drain(WAIT_S)
    assert served == ["step"]
    assert not call.replies
    assert dispatcher.in_flight_bytes == 0


def test_a_long_call_is_finished_by_a_dispatcher_that_closes() -> None:
    """No thread is left to take it up again, so the last one does not let go of it."""
    service, served = FakeService(), list[str]()
    work = Steps(3, served)
    service.long = lambda request: work
    call = SignalledCall("Search", search())
    with dispatching(service, Limits(threads=SMALL)) as dispatcher:
        dispatcher.submit(call)
        assert work.begun.acquire(timeout=WAIT_S)
        dispatcher.close(0.0)
        for _ in range(3):
            work.let_on.release()
        assert call.answered.wait(WAIT_S)
    assert len(served) == 3
    assert len(call.replies) == 1


def test_in_the_callers_own_thread_nothing_is_divided() -> None:
    """Nobody waits behind it there."""
    service = FakeService()
    service.long = lambda request: Steps(2, [])
    call = HandCall("Search", search())
    with dispatching(service, Limits(threads=SMALL)) as dispatcher:
        dispatcher.answer(call)
    assert len(call.replies) == 1

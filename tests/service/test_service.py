"""What holds for every operation: who is told, what is refused before it begins."""

from __future__ import annotations

from dataclasses import dataclass

import orjson
import pytest

from elanus.errors import (
    Cancelled,
    DeadlineExceeded,
    InternalError,
    UnsupportedOperation,
)
from elanus.service import requests as r
from elanus.service import requests_admin as rn
from elanus.service import requests_alter as ra
from elanus.service import requests_explain as re
from elanus.service import requests_text as rt
from elanus.service.core import Core
from elanus.service.dispatch import OPERATIONS, Call, LocalService
from service.stage import DEFAULT, SCHEMA, Stage

CREATE = r.CreateCollection(DEFAULT, "new", SCHEMA)


@dataclass(frozen=True, slots=True)
class Unheard(r.Request):
    """An operation that nobody knows."""


def test_an_unknown_request_is_named(stage: Stage) -> None:
    """With the code of what is not supported."""
    with pytest.raises(UnsupportedOperation, match="Unheard: unsupported operation"):
        stage.ask(Unheard())


def test_every_request_has_its_operation() -> None:
    """Of those that a wire can make, none is forgotten."""
    bases = {r.Request, r.DatabaseRequest, r.CollectionRequest, r.PartitionRequest}
    bases |= {r.PartitionsRequest, r.IndexRequest, rn.GroupRequest}
    kinds = {
        kind
        for module in (r, ra, re, rn, rt)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, r.Request)
    }
    assert kinds - bases == set(OPERATIONS)


def test_nothing_begins_too_late(stage: Stage) -> None:
    """Expired and cancelled calls change nothing."""
    service = LocalService(stage.core, monotonic=lambda: 100.0)
    with pytest.raises(DeadlineExceeded):
        service.handle(CREATE, r.RequestContext(deadline=99.0))
    with pytest.raises(Cancelled):
        service.handle(CREATE, r.RequestContext(is_cancelled=lambda: True))
    assert not stage.ask(r.HasCollection(DEFAULT, "new")).value
    service.handle(CREATE, r.RequestContext(deadline=101.0))
    assert stage.ask(r.HasCollection(DEFAULT, "new")).value


def test_every_end_is_told(stage: Stage) -> None:
    """To the observer: name, duration, code."""
    calls: list[Call] = []
    ticks = iter(range(100))
    service = LocalService(stage.core, calls.append, lambda: float(next(ticks)))
    service.handle(CREATE, r.RequestContext(client_id="7"))
    with pytest.raises(Exception, match="can't find collection"):
        service.handle(r.DescribeCollection(DEFAULT, "x"), r.RequestContext())
    told = [(call.name, call.seconds, call.code) for call in calls]
    assert told == [("CreateCollection", 1.0, 0), ("DescribeCollection", 1.0, 100)]
    assert calls[0].context.client_id == "7"


def test_a_fault_of_ours_has_a_code(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong inside, clients get a typed error and the log the cause."""

    def broken(core: Core, request: r.Request) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setitem(OPERATIONS, r.GetVersion, broken)
    with pytest.raises(InternalError, match="ZeroDivisionError: oh"):
        stage.ask(r.GetVersion())
    assert "GetVersion" in caplog.text


def test_what_the_server_says_of_itself(stage: Stage) -> None:
    """A version that clients can compare, numbers that differ, health."""
    first = stage.ask(r.Connect(DEFAULT, {}))
    second = stage.ask(r.Connect(DEFAULT, {}))
    assert first.client_id != second.client_id > 0
    assert first.version == stage.ask(r.GetVersion()).version
    major, minor, _ = first.version.removeprefix("v").split(".")
    assert (int(major), int(minor)) >= (2, 6)
    assert stage.ask(r.CheckHealth()).is_healthy
    assert stage.ask(r.GetComponentStates()).is_healthy
    metrics = stage.ask(r.GetMetrics('{"metric_type": "system_info"}'))
    (node,) = orjson.loads(metrics.response)["nodes_info"]
    assert node["infos"]["hardware_infos"]["cpu_core_count"] > 0


def test_a_closed_database_says_so(stage: Stage) -> None:
    """Late requests end with an error, and health with a reason."""
    stage.ask(CREATE)
    core = stage.core
    stage.close()
    service = LocalService(core)
    health = service.handle(r.CheckHealth(), r.RequestContext())
    assert not getattr(health, "is_healthy", True)
    for request in (CREATE, r.DescribeCollection(DEFAULT, "new")):
        with pytest.raises(Exception, match="is closed") as caught:
            service.handle(request, r.RequestContext())
        assert getattr(caught.value, "code", 0) == 2

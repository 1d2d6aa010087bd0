"""What is refused through the real client: its code, its text, and nothing changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from model.worlds import quick_folder
from serving.errors.case import Case
from serving.errors.cases import CASES
from serving.errors.coverage import (
    CASE,
    MOST_UNPROVOKED,
    UNPROVOKED,
    is_explained,
    rows,
    shows,
)
from serving.errors.stage import prepare, sketch, state
from serving.process import serve

IDS = [f"{case.code}-{number}" for number, case in enumerate(CASES)]


@dataclass(frozen=True)
class Stage:
    """Two clients of one server, and what one sees; no case may change it."""

    client: MilvusClient
    other: MilvusClient
    before: list[Any]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A server with collections in every state."""
    with ExitStack() as stack:
        folder = stack.enter_context(quick_folder())
        uri = f"http://{stack.enter_context(serve(folder / 'db')).address}"
        client = MilvusClient(uri, dedicated=True)
        stack.callback(client.close)
        client.create_database("shop")
        other = MilvusClient(uri, dedicated=True, db_name="shop")
        stack.callback(other.close)
        prepare(client, other)
        before = state(client, other)
        yield Stage(client, other, sketch(client))
        assert state(client, other) == before


def refusal(stage: Stage, case: Case) -> MilvusException:
    """What the client raises."""
    with pytest.raises(MilvusException) as caught:
        case.call(stage.client)
    return caught.value


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_refusal_has_its_code_and_text(stage: Stage, case: Case) -> None:
    """As Milvus has them, and everything is as it was; the stage looks closer."""
    error = refusal(stage, case)
    pattern = ".*".join(map(re.escape, case.text.split("{}")))
    assert re.search(pattern, error.message, re.DOTALL), error.message
    assert error.code == case.code
    assert sketch(stage.client) == stage.before


def test_every_known_message_is_provoked_or_explained(stage: Stage) -> None:
    """Of all messages that Milvus' own tests compare, none is merely forgotten."""
    messages = [refusal(stage, case).message for case in CASES]
    table = rows()
    assert len(table) > 700
    assert [why for _, why in table if not is_explained(why)] == []
    provoked = [text for text, why in table if why == CASE]
    missing = [t for t in provoked if not any(shows(m, t) for m in messages)]
    assert missing == []
    assert sum(why == UNPROVOKED for _, why in table) <= MOST_UNPROVOKED

"""A bounded memory."""

from __future__ import annotations

from elanus.service.remembered import Remembered


def test_it_never_holds_more_than_allowed() -> None:
    """The newest thing is always there; older ones may be forgotten."""
    memory: Remembered[int] = Remembered(3)
    for number in range(10):
        memory.keep(number, number)
        assert memory.find(number) == number
        assert len(memory) <= 3
    assert memory.find("unknown") is None

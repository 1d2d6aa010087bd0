"""A long request as steps of a few milliseconds, between which others are served."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from elanus.errors import ElanusError, InternalError
from elanus.service.replies import Reply

_LOG = logging.getLogger(__name__)


class Work(Protocol):
    """What is done step by step."""

    def advance(self) -> Reply | None:
        """Do the next step; the answer after the last."""
        ...


class Stepwise:
    """Work that begins with its first step, and tells how it ended.

    Errors that are not ours become an :class:`InternalError`, whose cause is logged.
    """

    def __init__(
        self, name: str, begin: Callable[[], Work], tell: Callable[[int], None]
    ) -> None:
        """Args:
        name: of the request's class.
        begin: makes the work.
        tell: called once, with the code of the error that ended it, or 0.
        """
        self._name = name
        self._begin = begin
        self._tell = tell
        self._work: Work | None = None

    def advance(self) -> Reply | None:
        """Do the next step; the answer after the last.

        Raises:
            ElanusError: what the work raises; it has ended then.
        """
        try:
            if self._work is None:
                self._work = self._begin()
            reply = self._work.advance()
        except ElanusError as error:
            self._tell(error.code)
            raise
        except Exception as error:
            self._tell(InternalError.code)
            _LOG.exception("%s failed", self._name)
            text = f"{self._name}: {type(error).__name__}: {error}"
            raise InternalError(text) from error
        if reply is not None:
            self._tell(0)
        return reply

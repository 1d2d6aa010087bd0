"""Runs jobs in one worker process, started on demand and ended when idle.

The worker speaks JSON lines over its standard input and output. It dies with us: it
ends when its input closes, and when it finds that its parent has changed.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

import orjson

from elanus.engine.write.jobs import (
    IsCancelled,
    Job,
    JobFailed,
    Progress,
    job_to_dict,
)
from elanus.errors import Cancelled, DiskFull

WORKER_MODULE = "elanus.embedded.worker"
POLL_S = 0.05
LAST_WORDS = 2000


class ProcessLauncher:
    """One job at a time in a process of its own; a dead worker is replaced."""

    def __init__(self, root: Path) -> None:
        """Args: root: the database folder."""
        self._root = root
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        self._is_closed = False

    def run(
        self, job: Job, progress: Progress, is_cancelled: IsCancelled
    ) -> Mapping[str, Any]:
        """See :class:`elanus.engine.write.jobs.Launcher`."""
        with self._lock:
            try:
                has_to_stop = partial(self._has_to_stop, is_cancelled)
                return self._send(job, has_to_stop).follow(progress, has_to_stop)
            except (Cancelled, _WorkerDied) as error:
                self._discard()
                if self._is_closed or isinstance(error, Cancelled):
                    raise Cancelled(f"job cancelled: {error}") from error
                raise JobFailed(str(error)) from error
            except BaseException:
                self._discard()
                raise

    def _has_to_stop(self, is_cancelled: IsCancelled) -> bool:
        return self._is_closed or is_cancelled()

    def _send(self, job: Job, has_to_stop: IsCancelled) -> _Worker:
        """Hand the job to the worker, a new one if it has left for want of work."""
        line = orjson.dumps(job_to_dict(job)) + b"\n"
        for _ in range(2):
            if self._is_closed:
                raise Cancelled("the database is closing")
            if self._worker is None:
                self._worker = _Worker(self._root)
            if self._worker.offer(line, has_to_stop):
                return self._worker
            self._discard()
        raise JobFailed("the worker process does not start")

    def _discard(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker while there is one."""
        worker = self._worker
        return None if worker is None else worker.pid

    def close(self) -> None:
        """See :class:`elanus.engine.write.jobs.Launcher`."""
        self._is_closed = True
        with self._lock:
            self._discard()


class _WorkerDied(Exception):
    """The worker ended in the middle of a job."""


class _Worker:
    """The process and its pipes."""

    def __init__(self, root: Path) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (kill closes)
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", WORKER_MODULE, str(root), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": path},
        )
        self.pid = self._process.pid
        self._buffer = b""

    def offer(self, line: bytes, is_cancelled: IsCancelled) -> bool:
        """Send a job; false if the worker has left.

        Raises:
            Cancelled: before it was accepted.
        """
        assert self._process.stdin is not None
        if self._process.poll() is not None:
            return False
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except OSError:
            return False
        return self._read_line(is_cancelled).get("accepted") is True

    def follow(
        self, progress: Progress, is_cancelled: IsCancelled
    ) -> Mapping[str, Any]:
        """Pass progress on until the job ends."""
        while True:
            message = self._read_line(is_cancelled)
            if "progress" in message:
                progress(message["progress"])
            elif "result" in message:
                result: Mapping[str, Any] = message["result"]
                return result
            elif "failed" in message:
                raise JobFailed(message["failed"])
            elif "full" in message:
                raise DiskFull(message["full"])
            else:
                raise _WorkerDied(self._last_words())

    def _read_line(self, is_cancelled: IsCancelled) -> dict[str, Any]:
        """The next message; empty when the worker has ended.

        Raises:
            Cancelled: before a message came; the worker is of no use then.
        """
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if is_cancelled():
                    raise Cancelled("as asked")
                if selector.select(POLL_S):
                    piece = os.read(descriptor, 1 << 16)
                    if not piece:
                        return {}
                    self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = orjson.loads(line)
        return message

    def _last_words(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        words = self._errors.read()[-LAST_WORDS:].decode(errors="replace").strip()
        return f"the worker process ended with status {code}. {words}"

    def kill(self) -> None:
        """End the process now; what it wrote is named by nothing."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue  # unsent bytes of a job that is given up
        self._errors.close()

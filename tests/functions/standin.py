"""A stand-in for the services that rerank: answers over HTTP in each one's shape."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@dataclass
class Asked:
    """One question that arrived."""

    path: str
    key: str
    body: Any


@dataclass
class StandIn:
    """What the service was asked, and what it answers.

    Attributes:
        answer: status, headers and body to a question instead of scores.
    """

    url: str
    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[Asked], tuple[int, dict[str, str], bytes]] | None = None


def score_of(query: str, text: str) -> float:
    """The score that the stand-in gives: the share of letters in common."""
    return len(set(query) & set(text)) / 32 - len(text) / 1024


def _results(asked: Asked, shape: str) -> Any:
    body = asked.body
    is_tei = asked.path == "/rerank"
    given = body.get("input", body)
    texts = given["texts"] if is_tei else given["documents"]
    name = "score" if is_tei else "relevance_score"
    found = [
        {"index": i, name: score_of(given["query"], text)}
        for i, text in enumerate(texts)
    ]
    found.sort(key=lambda entry: -entry[name])  # as services do: best first
    if is_tei:
        return found
    return {"output": {"results": found}} if "input" in body else {shape: found}


@contextmanager
def standing_in(shape: str = "results") -> Iterator[StandIn]:
    """A service on a port of its own.

    Args:
        shape: the key of its list of scores.
    """
    service: StandIn

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = orjson.loads(self.rfile.read(length))
            asked = Asked(self.path, self.headers.get("Authorization", ""), body)
            service.asked.append(asked)
            if service.answer is None:
                found = orjson.dumps(_results(asked, shape))
                status, headers, content = 200, {}, found
            else:
                status, headers, content = service.answer(asked)
            with suppress(OSError):  # who asked may not wait any more
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service = StandIn(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()

"""The http port: ``/healthz`` for supervisors and ``/metrics`` for Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

IsHealthy = Callable[[], bool]
MetricsText = Callable[[], bytes]
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class HttpPort:
    """Answers two paths from :meth:`start` to :meth:`stop`."""

    def __init__(
        self, host: str, port: int, is_healthy: IsHealthy, metrics: MetricsText
    ) -> None:
        """Bind at once; ``port`` 0 takes any free one.

        Raises:
            OSError: the address is taken or cannot be bound.
        """

        class Handler(_Handler):
            pass

        Handler.is_healthy = staticmethod(is_healthy)
        Handler.metrics = staticmethod(metrics)
        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="elanus-http", daemon=True
        )

    @property
    def address(self) -> str:
        """Where it listens, ``host:port``."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port."""
        if self._thread.ident is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    is_healthy: IsHealthy
    metrics: MetricsText
    timeout = 10  # a client that stays silent is let go

    def do_GET(self) -> None:
        """Answer the two paths, and 404 for others."""
        path = self.path.partition("?")[0]
        if path == "/healthz":
            healthy = self.is_healthy()
            status = HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, "text/plain", b"OK\n" if healthy else b"closing\n")
        elif path == "/metrics":
            self._answer(HTTPStatus.OK, _METRICS_TYPE, self.metrics())
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"not found\n")

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Probes come every few seconds; they are not worth a line each."""

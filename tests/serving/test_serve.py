"""``elanus serve`` from its first line to its end."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import grpc
import pytest

from elanus.embedded.sharing import lease
from elanus.errors import LockedError
from elanus.server.grpc.messages import SERVICE, message_class
from serving.process import command, serve

TRANSPORTS = ("native", "grpcio")
READY_SECONDS = 10.0  # far above the second it takes on an idle machine


def _version(address: str) -> str:
    reply_class = message_class("milvus.GetVersionResponse")
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(f"/{SERVICE}/GetVersion")
        reply = reply_class.FromString(call(b"", timeout=10))
    assert reply.status.code == 0
    version: str = reply.version
    return version


@pytest.mark.parametrize(
    ("transport", "number"),
    [("native", signal.SIGTERM), ("grpcio", signal.SIGINT)],
)
def test_it_answers_until_it_is_told_to_stop(
    tmp_path: Path, transport: str, number: signal.Signals
) -> None:
    """Both ports answer at once; a signal ends the process with status 0, in silence.

    The folder is sound afterwards and can be served again.
    """
    data = tmp_path / "data"
    for _ in range(2):
        begin = time.perf_counter()
        with serve(data, "--transport", transport) as served:
            assert served.get("/healthz") == (200, "OK\n")
            assert time.perf_counter() - begin < READY_SECONDS
            assert _version(served.address).startswith("v2.6.")
            status, metrics = served.get("/metrics")
            assert status == 200
            assert 'GetVersion"' in metrics
            assert served.get("/nothing")[0] == 404
            assert served.stop(number) == 0
        assert served.errors.read_text() == ""


@pytest.mark.slow
def test_a_folder_that_is_served_is_refused_to_a_second_server(tmp_path: Path) -> None:
    """The second one ends with status 2 and says why; the first one stays."""
    data = tmp_path / "data"
    with serve(data) as served:
        second = subprocess.run(
            command(data), capture_output=True, text=True, timeout=60
        )
        assert second.returncode == 2
        assert str(data) in second.stderr
        assert f"served at {served.address}" in second.stderr
        assert "Traceback" not in second.stderr
        assert served.get("/healthz")[0] == 200


def test_a_folder_that_is_served_is_refused_to_a_client_of_the_path(
    tmp_path: Path,
) -> None:
    """At once, with the address where it is served, and not after waiting for it."""
    with (
        serve(tmp_path / "data") as served,
        pytest.raises(LockedError, match=f"served at {served.address}"),
    ):
        lease(tmp_path / "data", patience_s=3600)


@pytest.mark.slow
def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """Status 2 and one line, whichever transport and port; the folder is let go."""
    with serve(tmp_path / "first") as served:
        grpc_port = ["--port", served.port]
        http_port = ["--http-port", served.http_url.rpartition(":")[2]]
        for options in (
            grpc_port,
            http_port,
            [*grpc_port, "--transport", "grpcio"],
        ):
            refused = subprocess.run(
                command(tmp_path / "other", *options),
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert refused.returncode == 2, refused
            assert "cannot listen" in refused.stderr
            assert "Traceback" not in refused.stderr


def test_an_open_port_without_passwords_is_warned_of(tmp_path: Path) -> None:
    """Beyond loopback every client is let in, and the server says so."""
    with serve(tmp_path / "data", "--host", "0.0.0.0") as served:
        assert "warning: 0.0.0.0" in served.errors.read_text()

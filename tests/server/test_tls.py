"""Encrypted connections, which the grpcio transport offers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest

from elanus.server.grpc.grpcio import GrpcioTransport, Tls
from elanus.server.grpc.messages import METHODS
from server.fake_service import TS, FakeService
from server.wire import dispatching

WAIT_S = 30
SUBJECT = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    """A key and a certificate that signs itself."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    out = ("-keyout", str(key), "-out", str(certificate))
    subprocess.run(
        ["openssl", "req", "-x509", *NEW_KEY, *SUBJECT, *out],
        check=True,
        capture_output=True,
    )
    return Tls(key.read_bytes(), certificate.read_bytes())


def call(address: str, credentials: Any) -> int:
    """Ask the server for a timestamp over TLS."""
    port = address.rsplit(":", 1)[1]
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        method = METHODS["AllocTimestamp"]
        stub = channel.unary_unary(
            method.path, response_deserializer=method.reply.FromString
        )
        return int(stub(b"", timeout=WAIT_S).timestamp)


def test_a_client_that_trusts_the_server_is_served(tls: Tls) -> None:
    """The certificate is the one given."""
    with dispatching(FakeService()) as dispatcher:
        transport = GrpcioTransport("127.0.0.1:0", dispatcher, tls=tls)
        transport.start()
        try:
            trust = grpc.ssl_channel_credentials(tls.certificates)
            assert call(transport.address, trust) == TS
        finally:
            transport.stop(WAIT_S)


def test_a_client_must_show_its_certificate_when_asked(tls: Tls) -> None:
    """With a client authority given, the unknown stay outside."""
    mutual = Tls(tls.key, tls.certificates, client_ca=tls.certificates)
    with dispatching(FakeService()) as dispatcher:
        transport = GrpcioTransport("127.0.0.1:0", dispatcher, tls=mutual)
        transport.start()
        try:
            known = grpc.ssl_channel_credentials(
                tls.certificates, tls.key, tls.certificates
            )
            assert call(transport.address, known) == TS
            stranger = grpc.ssl_channel_credentials(tls.certificates)
            with pytest.raises(grpc.RpcError) as info:
                call(transport.address, stranger)
            assert info.value.code() is grpc.StatusCode.UNAVAILABLE
        finally:
            transport.stop(WAIT_S)

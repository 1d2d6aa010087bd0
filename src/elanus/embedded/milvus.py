"""pymilvus' own clients on a database folder; needs the extra ``milvus``."""

from __future__ import annotations

import asyncio
import os
import weakref
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from elanus.embedded.sharing import Lease, abandon, lease
from elanus.errors import InvalidParameter

if TYPE_CHECKING:
    import pymilvus


def MilvusClient(uri: str | os.PathLike[str], **options: Any) -> pymilvus.MilvusClient:
    """A ``pymilvus.MilvusClient`` on the database in a folder.

    Several clients, of this process and of others, may have a folder open at once; the
    last ``close()`` closes it. With a recent pymilvus, calls do not pass a socket while
    this process owns the database; older ones use one.

    Args:
        uri: the folder; created when missing. A name ending in ``.db`` is a habit.
        options: what ``pymilvus.MilvusClient`` takes beside the address.

    Raises:
        ImportError: pymilvus is not installed.
        InvalidParameter: ``uri`` is an address of a server.
        FormatError: the path holds something that is not ours; it is left as it is.
        LockedError: it is open somewhere in a way that cannot be shared.
        CorruptionError: a file is damaged or missing; the message names it.
    """
    library = _pymilvus()
    held = lease(_path(uri))
    try:
        if _takes_a_channel():
            client = _direct_client(library, held, options)
        else:
            client = library.MilvusClient(uri=held.shared.address, **options)
    except BaseException:
        held.release()
        raise
    own_close = client.close

    def close() -> None:
        try:
            own_close()
        finally:
            held.release()

    client.close = close
    weakref.finalize(client, abandon, held.release)
    return client


def AsyncMilvusClient(
    uri: str | os.PathLike[str], **options: Any
) -> pymilvus.AsyncMilvusClient:
    """A ``pymilvus.AsyncMilvusClient`` on the database in a folder, over a socket.

    Args and Raises: as :func:`MilvusClient`.
    """
    library = _pymilvus()
    held = lease(_path(uri))
    try:
        if _has_dedicated_connections():
            from elanus.embedded.channel import CHANNEL_OPTIONS

            given = options.pop("grpc_options", {})
            options |= {"dedicated": True, "grpc_options": {**CHANNEL_OPTIONS, **given}}
        client = library.AsyncMilvusClient(uri=held.shared.address, **options)
        if _has_dedicated_connections():
            _tell_lost_writes(client)
    except BaseException:
        held.release()
        raise
    own_close = client.close

    async def close() -> None:
        try:
            await own_close()
        finally:
            await asyncio.to_thread(held.release)

    client.close = close
    weakref.finalize(client, abandon, held.release)
    return client


def _direct_client(library: ModuleType, held: Lease, options: dict[str, Any]) -> Any:
    """A client whose connection is a channel of ours, and its own."""
    from elanus.embedded.channel import SharedChannel

    shared = held.shared
    channel = SharedChannel(shared)
    client = library.MilvusClient(
        uri=shared.address, **{**options, "dedicated": True, "channel": channel}
    )
    manager, handler = client._manager, client._handler
    # After a lost call the library makes the channel anew.
    handler._create_grpc_channel = lambda address=None: SharedChannel(shared)
    # It keeps every dedicated connection until it is told that the client has gone.
    weakref.finalize(client, abandon, lambda: manager.release(handler))
    return client


def _tell_lost_writes(client: Any) -> None:
    """Have the client's channels, made when it first connects, tell of lost writes."""
    from elanus.embedded.channel import LostWrites

    own_connect = client._connect

    async def connect() -> None:
        is_new = client._handler is None
        await own_connect()
        if not is_new:
            return
        handler = client._handler
        own_create = handler._create_channel

        def create(address: str) -> Any:
            channel = own_create(address)
            channel._unary_unary_interceptors.append(LostWrites())
            return channel

        # After a lost call the library makes the channel anew.
        handler._create_channel = create
        handler._async_channel._unary_unary_interceptors.append(LostWrites())

    client._connect = connect


def _pymilvus() -> ModuleType:
    try:
        return import_module("pymilvus")
    except ModuleNotFoundError as error:
        if error.name != "pymilvus":
            raise
        raise ImportError(
            "this needs pymilvus: pip install 'elanus[milvus]', or use elanus.open()"
        ) from error


def _has_dedicated_connections() -> bool:
    """Whether a client can be given a connection of its own; the first 2.6 cannot."""
    try:
        from pymilvus.client import connection_manager
    except ImportError:
        return False
    return hasattr(connection_manager, "ConnectionManager")


def _takes_a_channel() -> bool:
    """Whether a client can be given a channel, and a way to make it anew."""
    if not _has_dedicated_connections():
        return False
    from pymilvus.client.grpc_handler import GrpcHandler

    return hasattr(GrpcHandler, "reconnect") and hasattr(
        GrpcHandler, "_create_grpc_channel"
    )


def _path(uri: str | os.PathLike[str]) -> str:
    path = os.fspath(uri)
    if "://" in path or path.startswith("unix:"):
        raise InvalidParameter(
            f"{path!r} is an address, and Elanus opens a folder: use "
            f"pymilvus.MilvusClient for a server"
        )
    return path

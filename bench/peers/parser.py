"""A server that only parses what it is to insert: as fast as the client can be served.

Run as a program it is that server: all but inserts are answered by Elanus.

    python -m bench.peers.parser FOLDER PORT
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from bench.peers.peer import ProcessPeer


class ParserPeer(ProcessPeer):
    """The yardstick of inserts."""

    name = "parser"

    def command(self) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", __name__, str(self.folder), str(self.port)]


def main() -> None:
    """Serve until told to end."""
    from elanus.app import World, open_database
    from elanus.server.grpc.dispatcher import Dispatcher
    from elanus.server.grpc.messages import METHODS, message_class
    from elanus.server.grpc.native import NativeTransport
    from elanus.server.grpc.transport import Call
    from elanus.service.core import Core
    from elanus.service.dispatch import LocalService

    is_ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: is_ended.set())
    world = World()
    opened = open_database(Path(sys.argv[1]), world)
    service = LocalService(Core(opened.database, world.random_id))
    request = METHODS["Insert"].request
    reply = message_class("milvus.MutationResult")
    canned = reply(insert_cnt=1000, succ_index=range(1000), timestamp=1)
    canned.status.SetInParent()
    canned.IDs.int_id.data.extend(range(1000))
    answer = canned.SerializeToString()

    class Parser(Dispatcher):
        def submit_together(self, calls: Sequence[Call]) -> None:
            for call in calls:
                if call.method != "Insert":
                    super().submit_together([call])
                    continue
                request.FromString(call.payload)
                call.respond(answer)

    dispatcher = Parser(service)
    transport = NativeTransport(f"127.0.0.1:{sys.argv[2]}", dispatcher)
    transport.start()
    is_ended.wait()
    transport.stop(1.0)
    dispatcher.close(1.0)
    opened.close()
    service.wait()


if __name__ == "__main__":
    main()

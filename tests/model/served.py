"""``python -m model.served DATA PORT TRANSPORT``: a server with small segments.

Prints its gRPC address, and ends at the end of its input.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from elanus.serving import ServeOptions, Server
from model.worlds import HISTORY_S, TINY

# Writers wait for the flusher beyond a few of these, and a worker takes long to start.
GROWING_BYTES = 60_000


def main() -> None:
    """Serve until there is no more input."""
    data, port, transport = sys.argv[1:]
    server = Server(
        ServeOptions(
            data=Path(data),
            port=int(port),
            http_port=0,
            transport=transport,
            settings=replace(TINY, growing_bytes=GROWING_BYTES, history_s=HISTORY_S),
        )
    )
    sys.stdout.write(f"{server.address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()

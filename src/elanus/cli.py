"""The command line: ``elanus serve``, ``elanus check`` and ``elanus inspect``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from elanus import __version__

# A thread with an answer to make waits so long for the interpreter, not Python's 5 ms.
_SWITCH_S = 5e-4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the process' exit status."""
    parser = argparse.ArgumentParser(
        prog="elanus", description="A vector database in a folder."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check", help="read every file of a closed database and name every damage"
    )
    check.add_argument("folder", type=Path)
    inspect = commands.add_parser(
        "inspect", help="print what a database holds, as JSON"
    )
    inspect.add_argument("folder", type=Path)
    _add_serve(commands.add_parser("serve", help="serve a database to Milvus clients"))
    options = parser.parse_args(arguments)
    from elanus.errors import ElanusError

    try:
        if options.command == "check":
            return _check(options.folder)
        if options.command == "serve":
            return _serve(options)
        return _inspect(options.folder)
    except ElanusError as error:
        print(f"elanus: {error}", file=sys.stderr)
        return 2


def _add_serve(serve: argparse.ArgumentParser) -> None:
    serve.add_argument(
        "--data", type=Path, required=True, help="database folder, made when missing"
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on")
    serve.add_argument("--port", type=int, default=19530, help="gRPC port")
    serve.add_argument(
        "--http-port", type=int, default=9091, help="port of /healthz and /metrics"
    )
    serve.add_argument(
        "--max-databases",
        type=int,
        default=0,
        help="beside the default one; Milvus' 64 when not given",
    )
    serve.add_argument(
        "--max-collections",
        type=int,
        default=0,
        help="in all databases together; Milvus' 65536 when not given",
    )
    serve.add_argument(
        "--milvus-version",
        default="",
        metavar="VERSION",
        help="what clients are told that they talk to, such as v2.6.6",
    )
    serve.add_argument(
        "--recall-sample",
        type=_share,
        default=0.001,
        metavar="SHARE",
        help="of all searches, 0 to 1, whose recall is measured in idle time",
    )
    serve.add_argument("--transport", choices=("native", "grpcio"), default="native")
    serve.add_argument(
        "--slow-ms", type=float, default=1000.0, help="log calls that take so long"
    )
    serve.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="json: one object a line",
    )
    serve.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="the least that is logged, to the standard error stream",
    )


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not in range 0 to 1")
    return value


def _serve(options: argparse.Namespace) -> int:
    import gc
    import signal
    import threading

    from elanus.config import Settings
    from elanus.serving import HISTORY_S, ServeOptions, Server, is_loopback
    from elanus.telemetry.logs import set_up_logs

    set_up_logs(options.log_format, options.log_level)
    sys.setswitchinterval(_SWITCH_S)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        server = Server(
            ServeOptions(
                data=options.data,
                host=options.host,
                port=options.port,
                http_port=options.http_port,
                transport=options.transport,
                slow_s=options.slow_ms / 1000,
                settings=Settings(
                    history_s=HISTORY_S,
                    recall_sample_share=options.recall_sample,
                    max_databases=options.max_databases,
                    max_collections=options.max_collections,
                ),
                milvus_version=options.milvus_version,
            )
        )
    except OSError as error:
        print(f"elanus: cannot listen: {error}", file=sys.stderr)
        return 2
    if not is_loopback(options.host):
        print(
            f"  warning: {options.host} can be reached from other machines, and every "
            f"client is let in without a password",
            file=sys.stderr,
            flush=True,
        )
    print(f"elanus {__version__} serves {options.data}", flush=True)
    print(f"  gRPC   {server.address}", flush=True)
    print(f"  http   http://{server.http_address}/healthz and /metrics", flush=True)
    gc.collect()
    gc.freeze()  # what was loaded stays: collections need not look at it again
    stop.wait()
    print("stopping", flush=True)
    server.stop()
    return 0


def _check(folder: Path) -> int:
    from elanus.app import check_database

    def show(name: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{name}", end="", file=sys.stderr, flush=True)

    damages = check_database(folder, show)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    for damage in damages:
        print(damage)
    if damages:
        print(f"{len(damages)} damage(s) found in {folder}")
        return 1
    print(f"{folder}: every file is sound")
    return 0


def _inspect(folder: Path) -> int:
    from elanus.embedded.database import open as open_folder

    with open_folder(folder, read_only=True) as database:
        print(json.dumps(database.stats(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

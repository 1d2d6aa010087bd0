"""A process that opens a folder, and does what it is told line by line."""

from __future__ import annotations

import sys

import elanus

COLLECTION = "docs"


def main() -> None:
    """Open ``argv[1]``, then run commands: insert FROM TO, count, fork, close."""
    client = elanus.MilvusClient(sys.argv[1])
    if not client.has_collection(COLLECTION):
        client.create_collection(COLLECTION, dimension=4)
    _say("open")
    for line in sys.stdin:
        word, *numbers = line.split()
        if word == "insert":
            begin, end = map(int, numbers)
            client.insert(COLLECTION, rows(begin, end))
        elif word == "close":
            client.close()
        elif word == "fork":
            _say(_insert_in_a_child(client))
        _say(count(client) if word == "count" else word)


def _say(answer: object) -> None:
    sys.stdout.write(f"{answer}\n")
    sys.stdout.flush()


def rows(begin: int, end: int) -> list[dict[str, object]]:
    """Rows with these ids."""
    return [{"id": i, "vector": [1.0, 0.0, 0.0, 0.0]} for i in range(begin, end)]


def count(client: object) -> int:
    """How many rows there are."""
    answer = client.query(COLLECTION, filter="", output_fields=["count(*)"])  # type: ignore[attr-defined]
    return int(answer[0]["count(*)"])


def _insert_in_a_child(client: object) -> int:
    import os

    child = os.fork()
    if not child:
        client.insert(COLLECTION, rows(1000, 1010))  # type: ignore[attr-defined]
        sys.exit(0 if count(client) >= 10 else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main()

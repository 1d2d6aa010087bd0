"""A life in which the system refuses something to SQLite, told on standard output.

``python -m faults.metadata_life FOLDER`` under ``strace``, which injects the fault.
"""

from __future__ import annotations

import sys
from pathlib import Path

from elanus.embedded.database import Database
from elanus.errors import ElanusError, ReadOnlyError, UnknownOutcome
from faults.workload import (
    Model,
    Operation,
    create,
    create_index,
    create_partition,
    delete,
    expected,
    insert,
    open_plain,
    seen,
    truncate,
    upkeep,
)

LIFE = [
    create("docs"),
    insert("docs", range(20), 1),
    create_partition("docs", "p"),
    upkeep("docs", "flush"),
    insert("docs", range(20, 30), 1),
    delete("docs", [1]),
    upkeep("docs", "flush"),
    create_index("docs", "HNSW"),
    truncate("docs"),
    insert("docs", range(5), 2),
]


def live(root: Path) -> Model:
    """All operations; each that fails changes nothing and is done again."""
    model: Model = {}
    db = open_plain(root)
    for operation in LIFE:
        try:
            operation.act(db)
        except (UnknownOutcome, ReadOnlyError) as error:
            _say(error)
            _close(db)
            db = _repeated(root, operation, model)
        except ElanusError as error:
            _say(error)
            assert seen(db) == expected(model), operation.name
            operation.act(db)
        model = operation.after(model)
        assert seen(db) == expected(model), operation.name
    _close(db)
    return model


def _repeated(root: Path, operation: Operation, model: Model) -> Database:
    db = open_plain(root)
    if seen(db) != expected(operation.after(model)):
        assert seen(db) == expected(model), operation.name
        operation.act(db)
    return db


def _close(db: Database) -> None:
    try:
        db.close()
    except ElanusError as error:
        _say(error)


def _say(error: ElanusError) -> None:
    sys.stdout.write(f"{type(error).__name__}: {error}\n")


def main(arguments: list[str]) -> None:
    """Live, and look once more."""
    root = Path(arguments[0])
    model = live(root)
    with open_plain(root) as db:
        assert seen(db) == expected(model)


if __name__ == "__main__":
    main(sys.argv[1:])

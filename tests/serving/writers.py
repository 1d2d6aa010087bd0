"""Clients that write until their server dies, and what must be there afterwards.

Each writer has rows of its own in a shared collection, and collections of its own. What
it did is kept as a value: a call changes it when it is answered. A call that was lost
may have happened, wholly, or not.
"""

from __future__ import annotations

import copy
import itertools
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pymilvus import DataType, MilvusClient

SHARED = "docs"
DIM = 4
MOST = 16_384
DEFAULT = "_default"

Rows = dict[int, int]  # version by key
State = dict[str, dict[str, Rows]]  # by partition, by collection


@dataclass(frozen=True)
class Operation:
    """One call, and what it makes of a writer's state."""

    text: str
    call: Callable[[MilvusClient], object]
    change: Callable[[State], object]

    def after(self, state: State) -> State:
        """The state after the call."""
        new = copy.deepcopy(state)
        self.change(new)
        return new


def create_collection(client: MilvusClient, name: str) -> None:
    """A collection that is not loaded."""
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("owner", DataType.INT64)
    schema.add_field("version", DataType.INT64)
    client.create_collection(name, schema=schema, retry_times=0)


def make_readable(client: MilvusClient, name: str) -> None:
    """Index and load it, if it is not."""
    wanted = client.prepare_index_params()
    wanted.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_index(name, wanted, sync=False)
    client.load_collection(name)


def rows_read(client: MilvusClient, name: str, owner: int) -> dict[str, Rows]:
    """The rows of one owner by partition; no key may be there twice."""
    make_readable(client, name)
    where, found = f"owner == {owner}", {}
    for partition in client.list_partitions(name):
        answer = client.query(
            name,
            filter=where,
            output_fields=["id", "version"],
            partition_names=[partition],
            limit=MOST,
        )
        counted = client.query(
            name,
            filter=where,
            output_fields=["count(*)"],
            partition_names=[partition],
        )
        assert counted[0]["count(*)"] == len(answer), f"rows are twice in {name}"
        found[partition] = {row["id"]: row["version"] for row in answer}
    return found


@dataclass
class Writer:
    """One client and what it has done.

    Attributes:
        state: what is acknowledged.
        lost: the call that was not answered, if the last one was not.
        count: calls that were acknowledged.
    """

    number: int
    seed: int
    state: State = field(default_factory=lambda: {SHARED: {DEFAULT: {}}})
    lost: Operation | None = None
    count: int = 0

    def __post_init__(self) -> None:
        self._rng = random.Random(f"{self.seed}/{self.number}")
        self._versions = itertools.count()
        self._names = itertools.count()

    def run(self, client: MilvusClient, stop: threading.Event) -> None:
        """Write until a call is lost or the test says so."""
        while not stop.is_set() and self.lost is None:
            self.step(client)

    def step(self, client: MilvusClient) -> None:
        """One random call."""
        operation = self._draw()
        self.lost = operation
        try:
            operation.call(client)
        except Exception as error:  # noqa: BLE001
            assert _is_lost(error), f"{operation.text}: {error!r}"
            return
        self.state = operation.after(self.state)
        self.lost = None
        self.count += 1

    def settle(self, client: MilvusClient) -> None:
        """Compare with what is there: what was answered, and at most the lost call."""
        found = self._read(client)
        allowed = [self.state]
        if self.lost is not None:
            allowed.append(self.lost.after(self.state))
        text = "nothing" if self.lost is None else self.lost.text
        assert found in allowed, (
            f"writer {self.number}, lost {text}:\n{found}\nis none of\n{allowed}"
        )
        self.state, self.lost = found, None

    def _read(self, client: MilvusClient) -> State:
        names = [n for n in client.list_collections() if n.startswith(self._prefix)]
        found = {name: rows_read(client, name, self.number) for name in names}
        shared = rows_read(client, SHARED, self.number)
        mine = {p: r for p, r in shared.items() if p == DEFAULT or p == self._partition}
        others = {p: r for p, r in shared.items() if p not in mine}
        assert not any(others.values()), "rows in partitions of others"
        return {SHARED: mine, **found}

    @property
    def _prefix(self) -> str:
        return f"own_{self.number}_"

    @property
    def _partition(self) -> str:
        return f"part_{self.number}"

    # --- what it does -----------------------------------------------------------------

    def _draw(self) -> Operation:
        choices = [self._insert, self._upsert, self._delete, self._define, self._flush]
        return self._rng.choices(choices, weights=[8, 6, 4, 3, 1])[0]()

    def _place(self) -> tuple[str, str]:
        name = self._rng.choice(sorted(self.state))
        return name, self._rng.choice(sorted(self.state[name]))

    def _new_rows(self, keys: list[int]) -> tuple[list[dict[str, Any]], Rows]:
        versions = {key: next(self._versions) for key in keys}
        rows = [
            {"id": k, "vector": [1.0, 0, 0, k], "owner": self.number, "version": v}
            for k, v in versions.items()
        ]
        return rows, versions

    def _keys(self) -> list[int]:
        span = range(self.number * 1000, self.number * 1000 + 60)
        return self._rng.sample(span, self._rng.randrange(1, 12))

    def _insert(self) -> Operation:
        name, partition = self._place()
        taken = {key for rows in self.state[name].values() for key in rows}
        rows, versions = self._new_rows([k for k in self._keys() if k not in taken])
        if not rows:
            return self._delete()
        return Operation(
            f"insert {sorted(versions)} into {name}/{partition}",
            lambda c: c.insert(name, rows, partition_name=partition, retry_times=0),
            lambda state: state[name][partition].update(versions),
        )

    def _upsert(self) -> Operation:
        name, partition = self._place()
        rows, versions = self._new_rows(self._keys())

        def change(state: State) -> None:
            _remove(state[name], list(versions))
            state[name][partition].update(versions)

        return Operation(
            f"upsert {sorted(versions)} into {name}/{partition}",
            lambda c: c.upsert(name, rows, partition_name=partition, retry_times=0),
            change,
        )

    def _delete(self) -> Operation:
        name, _ = self._place()
        keys = self._keys()
        return Operation(
            f"delete {keys} from {name}",
            lambda c: c.delete(name, ids=keys, retry_times=0),
            lambda state: _remove(state[name], keys),
        )

    def _flush(self) -> Operation:
        name, _ = self._place()
        return Operation(
            f"flush {name}",
            lambda c: c.flush(name, retry_times=0),
            lambda state: None,
        )

    def _define(self) -> Operation:
        own = sorted(set(self.state) - {SHARED})
        if self._partition not in self.state[SHARED]:
            return Operation(
                "create partition",
                lambda c: c.create_partition(SHARED, self._partition, retry_times=0),
                lambda state: state[SHARED].update({self._partition: {}}),
            )
        if len(own) < 2:
            return self._create()
        name = self._rng.choice(own)
        if self._rng.random() < 0.5:
            return Operation(
                f"drop {name}",
                lambda c: c.drop_collection(name, retry_times=0),
                lambda state: state.pop(name),
            )
        target = self._new_name()
        return Operation(
            f"rename {name} to {target}",
            lambda c: c.rename_collection(name, target, retry_times=0),
            lambda state: state.update({target: state.pop(name)}),
        )

    def _create(self) -> Operation:
        name = self._new_name()
        return Operation(
            f"create {name}",
            lambda c: create_collection(c, name),
            lambda state: state.update({name: {DEFAULT: {}}}),
        )

    def _new_name(self) -> str:
        return f"{self._prefix}{next(self._names)}"


def _remove(partitions: dict[str, Rows], keys: list[int]) -> None:
    for rows in partitions.values():
        for key in keys:
            rows.pop(key, None)


def _is_lost(error: Exception) -> bool:
    """Whether the server went away, rather than refused the call."""
    text = str(error)
    return any(word in text for word in ("UNAVAILABLE", "unavailable", "unknown"))


class Team:
    """Writers at work, a thread each."""

    def __init__(self, writers: list[Writer], clients: list[MilvusClient]) -> None:
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        self._writers = writers
        self._threads = [
            threading.Thread(target=self._guarded, args=pair)
            for pair in zip(writers, clients, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def await_calls(self, more: int) -> None:
        """Wait for so many more answers, or the end of all writers."""
        tick, goal = threading.Event(), self._count() + more
        while self._count() < goal and any(t.is_alive() for t in self._threads):
            tick.wait(0.002)

    def stop(self) -> None:
        """Wait for all writers, after one more call at the most."""
        self._stop.set()
        self.join()

    def join(self) -> None:
        """Wait for all writers, and raise what went wrong with them."""
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def _count(self) -> int:
        return sum(writer.count for writer in self._writers)

    def _guarded(self, writer: Writer, client: MilvusClient) -> None:
        try:
            writer.run(client, self._stop)
        except BaseException as error:  # noqa: BLE001
            self._failures.append(error)

"""The fault store itself: it forgets what was not synced and keeps what was."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest

from elanus.errors import DiskFull, StorageError
from storage.faults import PAGE_BYTES, FaultStore, SimulatedCrash


def lost_power(store: FaultStore, to: Path, seed: int) -> FaultStore:
    """The store as it is after a power loss."""
    store.materialise(to, random.Random(seed))
    return FaultStore(to)


def test_synced_bytes_and_names_survive_unsynced_ones_may_not(tmp_path: Path) -> None:
    """Over many power losses: synced always, the rest sometimes, pages reordered."""
    store = FaultStore(tmp_path / "live")
    file = store.create("d/kept")
    file.write(b"k" * 10_000)
    file.sync()
    store.sync_folder("d")
    file.write(b"t" * (5 * PAGE_BYTES))
    unnamed = store.create("d/unnamed")
    unnamed.write(b"u")
    unnamed.sync()
    tails: set[bytes] = set()
    names: set[tuple[str, ...]] = set()
    for seed in range(60):
        after = lost_power(store, tmp_path / f"{seed}", seed)
        content = after.read("d/kept")
        assert content[:10_000] == b"k" * 10_000
        tails.add(content[10_000:])
        names.add(tuple(after.list()))
    assert b"" in tails
    assert b"t" * (5 * PAGE_BYTES) in tails
    assert any(tail.startswith(b"\0") and tail.endswith(b"t") for tail in tails)
    assert names == {("d/kept",), ("d/kept", "d/unnamed")}
    file.close()
    unnamed.close()


def test_renames_and_deletions_last_only_with_their_folder(tmp_path: Path) -> None:
    """Unsynced ones may be undone, synced ones not."""
    store = FaultStore(tmp_path / "live")
    for name in ("a", "b", "c"):
        file = store.create(name)
        file.write(name.encode())
        file.sync()
        file.close()
    store.sync_folder()
    store.rename("a", "a2")
    store.delete("b")
    seen = {
        tuple(lost_power(store, tmp_path / f"x{seed}", seed).list())
        for seed in range(60)
    }
    assert seen == {
        ("a", "b", "c"),
        ("a", "c"),
        ("a2", "b", "c"),
        ("a2", "c"),
    }
    store.sync_folder()
    after = lost_power(store, tmp_path / "y", 1)
    assert after.list() == ["a2", "c"]
    assert after.read("a2") == b"a"


def test_the_chosen_step_crashes_and_all_after_it(tmp_path: Path) -> None:
    """Steps are numbered from 1 and listed in the trace."""
    store = FaultStore(tmp_path, crash_at=3)
    file = store.create("x")
    file.write(b"1")
    with pytest.raises(SimulatedCrash):
        file.sync()
    for call in (lambda: file.write(b"2"), store.list, lambda: store.step("more")):
        with pytest.raises(SimulatedCrash):
            call()
    assert store.trace == [("create", "x"), ("write", "x"), ("sync", "x")]
    file.close()


def test_chosen_steps_fail_and_the_store_fills_up(tmp_path: Path) -> None:
    """Failures are ours, and space comes back with deletion."""
    store = FaultStore(tmp_path, fail_at={1: errno.EIO})
    with pytest.raises(StorageError):
        store.create("x")
    file = store.create("x")
    store.capacity_bytes = 10
    file.write(b"123456")
    with pytest.raises(DiskFull):
        file.write(b"1234567")
    assert store.read("x") == b"1234561234"
    assert store.free_bytes() == 0
    file.close()
    store.delete("x")
    assert store.free_bytes() == 10


def test_native_files_are_unsynced_until_adopted(tmp_path: Path) -> None:
    """What a library wrote past the store is durable after adoption and folder sync."""
    store = FaultStore(tmp_path / "live")
    for name in ("adopted", "loose"):
        store.local_path(f"i/{name}").write_bytes(b"n" * 9_000)
    store.adopt("i/adopted")
    store.sync_folder("i")
    for seed in range(10):
        after = lost_power(store, tmp_path / f"{seed}", seed)
        assert after.list() == ["i/adopted"]
        assert after.read("i/adopted") == b"n" * 9_000

"""The local file store: names, durability steps, and the system's errors as ours."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from elanus.errors import (
    ClosedError,
    CorruptionError,
    DiskFull,
    ReadOnlyError,
    StorageError,
)
from elanus.storage import files
from elanus.storage.files import LocalFileStore, storage_error


def put(store: LocalFileStore, name: str, content: bytes) -> None:
    """Create a file with this content."""
    file = store.create(name)
    file.write(content)
    file.close()


def test_files_are_created_appended_and_read(tmp_path: Path) -> None:
    """Writes of any buffers follow each other; reads take any range."""
    store = LocalFileStore(tmp_path / "new" / "root")
    file = store.create("a/b/c")
    file.write(b"0123", memoryview(b"45"), b"", np.array([0x3736], "<u2"))
    assert file.tell() == 8
    file.sync()
    file.close()
    file = store.append("a/b/c")
    assert file.tell() == 8
    file.write(b"89")
    file.close()
    assert store.size("a/b/c") == 10
    assert store.read("a/b/c") == b"0123456789"
    assert store.read("a/b/c", 8) == b"89"
    assert store.read("a/b/c", 2, 3) == b"234"
    assert store.read("a/b/c", 9, 5) == b"9"
    assert store.read("a/b/c", 20, 5) == b""
    with pytest.raises(ClosedError):
        file.write(b"x")
    with pytest.raises(ClosedError):
        file.sync()


def test_many_buffers_and_short_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that the system cuts short goes on where it stopped."""
    store = LocalFileStore(tmp_path)
    parts = [bytes([i % 256]) * (i % 7) for i in range(2_000)]
    real = os.writev
    monkeypatch.setattr(
        os,
        "writev",
        lambda fd, views: real(fd, [views[0][: max(len(views[0]) // 2, 1)]]),
    )
    put(store, "short", b"".join(parts[:50]))
    file = store.create("many")
    file.write(*parts)
    monkeypatch.undo()
    file.write(*parts)
    file.close()
    assert store.read("short") == b"".join(parts[:50])
    assert store.read("many") == b"".join(parts) * 2


def test_names_can_be_listed_moved_and_deleted(tmp_path: Path) -> None:
    """Lists are sorted and go to any depth; deleting what is not there is fine."""
    store = LocalFileStore(tmp_path)
    for name in ("b", "a/2", "a/1", "a/c/3"):
        put(store, name, name.encode())
    assert store.list() == ["a/1", "a/2", "a/c/3", "b"]
    assert store.list("a/c") == ["a/c/3"]
    assert store.list("nothing") == []
    store.rename("a/2", "d/e")
    assert store.read("d/e") == b"a/2"
    assert not store.exists("a/2")
    store.delete("b")
    store.delete("b")
    store.delete_folder("a")
    store.delete_folder("a")
    assert store.list() == ["d/e"]
    with pytest.raises(StorageError, match="d/e"):
        store.create("d/e")
    with pytest.raises(StorageError, match="gone"):
        store.read("gone")
    for bad in ("/etc/passwd", "../x", "a/../../x"):
        with pytest.raises(StorageError):
            store.read(bad)
    with pytest.raises(StorageError):
        store.delete_folder("")
    assert store.free_bytes() > 0


def test_cutting_rewriting_and_adopting_keep_the_content(tmp_path: Path) -> None:
    """These change the durability of bytes, not the bytes."""
    store = LocalFileStore(tmp_path)
    content = np.random.default_rng(1).bytes(3_000_000)
    put(store, "x", content)
    store.rewrite("x", 1_000)
    store.rewrite("x", len(content))
    store.adopt("x")
    assert store.read("x") == content
    store.truncate("x", 10)
    assert store.read("x") == content[:10]
    store.local_path("n/m").write_bytes(b"native")
    store.adopt("n/m")
    assert store.read("n/m") == b"native"


def test_syncing_a_new_folder_syncs_the_way_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entries of all folders that the store made are durable, once."""
    store = LocalFileStore(tmp_path)
    put(store, "a/b/c/file", b"x")
    synced: list[str] = []
    monkeypatch.setattr(
        files,
        "_sync_directory",
        lambda path: synced.append(path.relative_to(tmp_path).as_posix()),
    )
    store.sync_folder("a/b/c")
    assert synced == ["a/b/c", "a/b", "a", "."]
    synced.clear()
    store.sync_folder("a/b/c")
    store.sync_folder()
    assert synced == ["a/b/c", "."]


def test_a_mapping_notices_changes(tmp_path: Path) -> None:
    """Another size is an error, another time another stamp."""
    store = LocalFileStore(tmp_path)
    put(store, "x", b"hello")
    mapped = store.map("x")
    stamp = mapped.check()
    assert bytes(mapped.buffer) == b"hello"
    assert mapped.check() == stamp
    os.utime(tmp_path / "x", ns=(0, stamp + 5))
    assert mapped.check() == stamp + 5
    os.truncate(tmp_path / "x", 4)
    with pytest.raises(CorruptionError, match="x"):
        mapped.check()
    view = mapped.buffer
    mapped.close()
    mapped.close()
    assert view.size == 5
    with pytest.raises(ClosedError):
        mapped.check()
    put(store, "empty", b"")
    mapped = store.map("empty")
    assert mapped.buffer.size == 0
    mapped.check()
    mapped.close()


def test_a_read_only_store_changes_nothing(tmp_path: Path) -> None:
    """Each change is refused; a missing folder is not made."""
    put(LocalFileStore(tmp_path), "x", b"x")
    store = LocalFileStore(tmp_path, read_only=True)
    for change in (
        lambda: store.create("y"),
        lambda: store.append("x"),
        lambda: store.delete("x"),
        lambda: store.delete_folder("x"),
        lambda: store.rename("x", "y"),
        lambda: store.truncate("x", 0),
        lambda: store.rewrite("x", 0),
        lambda: store.adopt("x"),
        lambda: store.sync_folder(),
    ):
        with pytest.raises(ReadOnlyError):
            change()
    assert store.read("x") == b"x"
    assert store.local_path("no/x") == tmp_path / "no/x"
    assert store.list() == ["x"]
    LocalFileStore(tmp_path / "no", read_only=True)
    assert not (tmp_path / "no").exists()


def test_a_full_disk_is_told_apart(tmp_path: Path) -> None:
    """No space and no quota are ``DiskFull``; anything else names its file too."""
    for number in (errno.ENOSPC, errno.EDQUOT):
        error = storage_error(OSError(number, os.strerror(number)), "some file")
        assert type(error) is DiskFull
        assert "some file" in str(error)
    assert type(storage_error(OSError(errno.EIO, "bad"), "x")) is StorageError


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_the_system_reports_a_full_device(tmp_path: Path) -> None:
    """The real error of a full device arrives as ours."""
    (tmp_path / "full").symlink_to("/dev/full")
    file = LocalFileStore(tmp_path).append("full")
    with pytest.raises(DiskFull, match="full"):
        file.write(b"x")
    file.close()

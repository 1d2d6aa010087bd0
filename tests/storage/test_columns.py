"""Column files: what goes in comes out, and no damaged byte is ever used."""

from __future__ import annotations

import datetime
import os
import threading
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from elanus.errors import ClosedError, CorruptionError, DiskFull, InternalError
from elanus.storage.checksums import BLOCK_BYTES, checksum_file
from elanus.storage.columnar import ColumnFile, FileStamp, write_columns
from elanus.storage.files import LocalFileStore
from storage.faults import FaultStore

NAME = "segments/1/data.arrow"

COLUMNS = {
    "bool": pa.array([True, None, False, True]),
    "int8": pa.array([1, None, -3, 4], pa.int8()),
    "int16": pa.array([1, 2, -3, 4], pa.int16()),
    "int32": pa.array([1, None, -3, 4], pa.int32()),
    "int64": pa.array([1, 2, -(2**62), 4], pa.int64()),
    "uint64": pa.array([1, 2, 2**64 - 1, None], pa.uint64()),
    "half": pa.array(np.array([1, 2, 3, 4], np.float16)),
    "float": pa.array([1.5, None, float("inf"), 4], pa.float32()),
    "double": pa.array([1.5, 2, 3, 4], pa.float64()),
    "date": pa.array([datetime.date(2024, 1, day) for day in (1, 2, 3, 4)]),
    "time": pa.array([1, 2, None, 4], pa.timestamp("us", "UTC")),
    "decimal": pa.array([Decimal("1.25"), None, Decimal("-3.5"), Decimal(4)]),
    "fixed": pa.array([b"abc", b"def", b"ghi", b"jkl"], pa.binary(3)),
    "string": pa.array(["a", None, "", "ünï"], pa.large_string()),
    "binary": pa.array([b"a", b"bb", b"", b"\0"], pa.large_binary()),
    "list": pa.array([[1, 2], None, [], [3]], pa.large_list(pa.int64())),
    "strings": pa.array(
        [["a", "bc"], [None], [], ["d"]], pa.large_list(pa.large_string())
    ),
    "bools": pa.array([[True], [False, None], [], None], pa.large_list(pa.bool_())),
    "vector": pa.array([[1, 2], [3, 4], [5, 6], [7, 8]], pa.list_(pa.float32(), 2)),
    "bytes": pa.array([[1, 2], [3, 4], [5, 6], [7, 8]], pa.list_(pa.uint8(), 2)),
    "sparse vector": pa.array([[1, 2], None, [5, 6], None], pa.list_(pa.float32(), 2)),
    "struct": pa.array([{"x": 1}, None, {"x": 3}, {"x": None}]),
    "none": pa.nulls(4),
    "all null": pa.nulls(4, pa.int64()),
}


def batch_of(columns: dict[str, pa.Array]) -> pa.RecordBatch:
    """A batch with these columns."""
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def big_batch(rows: int = 40_000) -> pa.RecordBatch:
    """A batch whose columns span several checksum blocks."""
    rng = np.random.default_rng(5)
    vectors = rng.random((rows, 32), np.float32)
    texts = [f"text {i} " * (i % 20) for i in range(rows)]
    return batch_of(
        {
            "pk": pa.array(np.arange(rows)),
            "vector": pa.FixedSizeListArray.from_arrays(vectors.reshape(-1), 32),
            "text": pa.array(texts, pa.large_string()),
            "rare": pa.array([None if i % 3 else i for i in range(rows)]),
            "tags": pa.array(
                [[i, i + 1][: i % 3] for i in range(rows)], pa.large_list(pa.int32())
            ),
        }
    )


def stored(tmp_path: Path, batch: pa.RecordBatch) -> tuple[LocalFileStore, FileStamp]:
    """The batch written to a new store."""
    store = LocalFileStore(tmp_path)
    stamp = write_columns(store, NAME, batch)
    return store, FileStamp.from_json(stamp.to_json())


@pytest.mark.parametrize("rows", [4, 1, 0])
def test_every_type_comes_back(tmp_path: Path, rows: int) -> None:
    """Columns, rows taken from them, and the file in the eyes of plain Arrow."""
    batch = batch_of(COLUMNS).slice(0, rows)
    store, stamp = stored(tmp_path, batch)
    with pa.memory_map(str(tmp_path / NAME)) as source:
        plain = pa.ipc.open_file(source).read_all()
    assert plain.replace_schema_metadata().to_batches(max_chunksize=10) in (
        [batch],
        [],
    )
    file = ColumnFile(store, stamp)
    assert file.num_rows == rows
    assert file.schema == batch.schema
    for name in COLUMNS:
        assert file.column(name).equals(batch.column(name)), name
        file.column(name).validate(full=True)
        for offsets in ([], [rows - 1, 0, 0][: rows * 3]):
            index = np.array(offsets, np.int64)
            fresh = ColumnFile(store, stamp)
            expected = batch.column(name).take(pa.array(index))
            for reader in (fresh, file, fresh):
                taken = reader.take(name, index)
                assert taken.equals(expected), name
                taken.validate(full=True)
            fresh.close()
    assert file.verify_all() == []
    file.close()


def test_a_sliced_batch_is_written_from_its_start(tmp_path: Path) -> None:
    """Offsets of a slice do not leak into the file."""
    batch = batch_of(COLUMNS).slice(1, 2)
    file = ColumnFile(*stored(tmp_path, batch))
    for name in COLUMNS:
        assert file.column(name).equals(batch.column(name)), name
    file.close()


def test_buffers_are_aligned(tmp_path: Path) -> None:
    """The first on 64 bytes, each on 8, for all names and numbers of columns."""
    for count in range(1, 12):
        columns = {"x" * i: pa.array([i, 1, 2]) for i in range(count)}
        store = LocalFileStore(tmp_path / f"{count}")
        file = ColumnFile(store, write_columns(store, NAME, batch_of(columns)))
        starts = [file.column(name).buffers()[1].address for name in columns]
        assert starts[0] % 64 == 0
        assert all(start % 8 == 0 for start in starts)
        file.close()


def test_a_matrix_is_a_view_of_the_file(tmp_path: Path) -> None:
    """Vectors come as (rows, dim), read-only, in the stored type."""
    batch = batch_of(COLUMNS)
    file = ColumnFile(*stored(tmp_path, batch))
    matrix = file.matrix("vector")
    assert matrix.dtype == np.float32
    assert matrix.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert not matrix.flags.writeable
    assert file.matrix("vector") is matrix
    assert file.matrix("bytes").tolist() == matrix.tolist()
    assert file.matrix("sparse vector")[[0, 2]].tolist() == [[1, 2], [5, 6]]
    with pytest.raises(InternalError):
        file.matrix("int64")
    with pytest.raises(InternalError):
        file.column("no such")
    file.close()
    assert matrix[3, 1] == 8, "views outlive the file"
    with pytest.raises(ClosedError):
        file.column("int64")


def test_opening_reads_nothing(tmp_path: Path) -> None:
    """A file that is not there, or damaged, is noticed at first touch only."""
    store, stamp = stored(tmp_path, batch_of(COLUMNS))
    store.delete(NAME)
    ColumnFile(store, stamp).close()


def test_unsupported_types_are_refused(tmp_path: Path) -> None:
    """Kinds with 32-bit offsets or dictionaries are not written."""
    store = LocalFileStore(tmp_path)
    for values in (
        pa.array(["a"]),
        pa.array([[1]]),
        pa.array(["a"]).dictionary_encode(),
        pa.array([["a"]], pa.large_list(pa.string())),
    ):
        with pytest.raises(InternalError):
            write_columns(store, NAME, batch_of({"x": values}))
    assert store.list() == []


def test_a_full_disk_leaves_no_file(tmp_path: Path) -> None:
    """The name is free again after a failed write."""
    store = FaultStore(tmp_path, capacity_bytes=1_000_000)
    with pytest.raises(DiskFull):
        write_columns(store, NAME, big_batch())
    assert store.list() == []
    store.capacity_bytes = None
    assert ColumnFile(store, write_columns(store, NAME, big_batch())).num_rows == 40_000


def use_everything(file: ColumnFile) -> None:
    """Read the whole file in each way there is."""
    for name in file.schema.names:
        file.column(name)
    file.matrix("vector")


def test_a_flipped_bit_in_any_block_is_found_before_use(tmp_path: Path) -> None:
    """Whichever byte of a block is damaged, reading its column names the file."""
    batch = big_batch()
    store, stamp = stored(tmp_path, batch)
    path = tmp_path / NAME
    rng = np.random.default_rng(3)
    whole = path.read_bytes()
    rows = np.arange(batch.num_rows)
    for block in range(len(stamp.checksums.values)):
        end = min((block + 1) * BLOCK_BYTES, stamp.size)
        for position in {
            block * BLOCK_BYTES,
            end - 1,
            *rng.integers(block * BLOCK_BYTES, end, 3),
        }:
            with path.open("r+b") as damaged:
                damaged.seek(position)
                damaged.write(bytes([whole[position] ^ 0x10]))
            file = ColumnFile(store, stamp)
            assert len(file.verify_all()) == 1
            with pytest.raises(CorruptionError, match=NAME):
                use_everything(file)
            file.close()
            file = ColumnFile(store, stamp)
            with pytest.raises(CorruptionError, match=NAME):
                for name in batch.schema.names:
                    file.take(name, rows)
            file.close()
            with path.open("r+b") as damaged:
                damaged.seek(position)
                damaged.write(whole[position : position + 1])
    file = ColumnFile(store, stamp)
    use_everything(file)
    file.close()


def test_damage_elsewhere_does_not_hinder(tmp_path: Path) -> None:
    """Only the blocks that the wanted rows touch are verified."""
    batch = big_batch()
    store, stamp = stored(tmp_path, batch)
    file = ColumnFile(store, stamp)
    matrix = file.matrix("vector", verify=False)
    base = matrix.ctypes.data
    middle = matrix[20_000:].ctypes.data - base
    file.close()
    path = tmp_path / NAME
    whole = path.read_bytes()
    start = whole.index(matrix.tobytes()[:200])
    with path.open("r+b") as damaged:
        damaged.seek(start + middle)
        damaged.write(bytes([whole[start + middle] ^ 1]))
    file = ColumnFile(store, stamp)
    near, far = np.array([20_000]), np.array([0, 39_999])
    assert file.take("vector", far).equals(batch.column("vector").take(pa.array(far)))
    file.verify_rows("vector", far)
    for use in (file.take, file.verify_rows):
        with pytest.raises(CorruptionError, match=NAME):
            use("vector", near)
    with pytest.raises(CorruptionError, match=NAME):
        file.matrix("vector")
    assert file.column("pk").equals(batch.column("pk"))
    file.close()


def test_damage_after_verification_is_found_by_the_changed_time(tmp_path: Path) -> None:
    """A file modified while mapped is verified again before the next use."""
    batch = big_batch()
    store, stamp = stored(tmp_path, batch)
    file = ColumnFile(store, stamp)
    use_everything(file)
    offsets = np.array([1, 2])
    file.take("pk", offsets)
    path = tmp_path / NAME
    status = path.stat()
    at = path.read_bytes().index(np.arange(1_000).tobytes()) + 8
    with path.open("r+b") as damaged:
        damaged.seek(at)
        damaged.write(b"\xff")
    # The clock of file times ticks slowly; what matters is that it moved.
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    for use in (
        lambda: file.column("pk"),
        lambda: file.take("pk", offsets),
    ):
        with pytest.raises(CorruptionError, match=NAME):
            use()
    with path.open("r+b") as mended:
        mended.seek(at)
        mended.write(b"\x01")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 2))
    assert file.take("pk", offsets).to_pylist() == [1, 2]
    file.close()


@pytest.mark.parametrize("size", [0, 1, 100, 5_000, -8])
def test_truncation_under_the_map_is_an_error_not_a_signal(
    tmp_path: Path, size: int
) -> None:
    """A file cut or grown while it is mapped is refused before it is touched."""
    store, stamp = stored(tmp_path, big_batch())
    file = ColumnFile(store, stamp)
    file.column("pk")
    file.matrix("vector")
    os.truncate(tmp_path / NAME, size if size >= 0 else stamp.size - size)
    for use in (
        lambda: file.column("pk"),
        lambda: file.matrix("vector"),
        lambda: file.take("text", np.array([5])),
        lambda: file.verify_rows("vector", np.array([5])),
    ):
        with pytest.raises(CorruptionError, match=NAME):
            use()
    assert len(file.verify_all()) == 1
    file.close()
    with pytest.raises(CorruptionError, match=NAME):
        ColumnFile(store, stamp).column("pk")


def test_a_renamed_or_deleted_file_stays_readable(tmp_path: Path) -> None:
    """The mapping holds the file, not its name."""
    store, stamp = stored(tmp_path, big_batch())
    file = ColumnFile(store, stamp)
    first = file.take("pk", np.array([7]))
    store.rename(NAME, "elsewhere")
    store.delete("elsewhere")
    assert file.column("pk")[7] == first[0]
    file.close()


def test_many_threads_read_one_file(tmp_path: Path) -> None:
    """Threads that touch a fresh file together all get the right rows."""
    batch = big_batch()
    store, stamp = stored(tmp_path, batch)
    for round_number in range(3):
        file = ColumnFile(store, stamp)
        wrong: list[str] = []

        def read(seed: int, file: ColumnFile = file, wrong: list[str] = wrong) -> None:
            rng = np.random.default_rng(seed)
            for name in rng.permutation(batch.schema.names):
                offsets = rng.integers(0, batch.num_rows, 50)
                expected = batch.column(name).take(pa.array(offsets))
                if not file.take(name, offsets).equals(expected):
                    wrong.append(name)
                if not file.column(name).equals(batch.column(name)):
                    wrong.append(name)

        threads = [
            threading.Thread(target=read, args=(round_number * 10 + i,))
            for i in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        file.close()


def test_a_stamp_of_another_file_is_refused(tmp_path: Path) -> None:
    """Bytes that are no column file give our error even with right checksums."""
    store = LocalFileStore(tmp_path)
    rng = np.random.default_rng(9)
    write_columns(store, "good", big_batch(50))
    content = store.read("good")
    for number in range(200):
        changed = bytearray(content)
        if number % 2:
            del changed[int(rng.integers(len(content))) :]
        else:
            for at in rng.integers(len(content) - 700, len(content), 3):
                changed[int(at)] ^= 1 << int(rng.integers(8))
        name = f"bad {number}"
        file = store.create(name)
        file.write(bytes(changed))
        file.close()
        reader = ColumnFile(store, FileStamp(name, checksum_file(store, name)))
        with suppress(CorruptionError):
            assert reader.num_rows >= 0
        reader.close()

"""Block checksums of files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from elanus.errors import CorruptionError
from elanus.storage.checksums import (
    BLOCK_BYTES,
    BlockChecksums,
    ChecksummingWriter,
    block_count,
    checksum_file,
    crc32c,
    verify_file,
)
from elanus.storage.files import LocalFileStore


def test_crc32c_is_the_published_one() -> None:
    """The check value of CRC-32C, over every kind of buffer and in pieces."""
    text = b"123456789"
    kinds = [text, bytearray(text), memoryview(text), np.frombuffer(text, np.uint8)]
    assert {crc32c(kind) for kind in kinds} == {0xE3069283}
    assert crc32c(text[4:], crc32c(text[:4])) == 0xE3069283


@pytest.mark.parametrize(
    "size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, 2 * BLOCK_BYTES + 7]
)
def test_checksums_do_not_depend_on_how_the_file_was_written(
    tmp_path: Path, size: int
) -> None:
    """In pieces, at once, or by someone else: the same values, which verify."""
    store = LocalFileStore(tmp_path)
    rng = np.random.default_rng(size)
    content = rng.bytes(size)
    file = store.create("x")
    writer = ChecksummingWriter(file)
    start = 0
    while start < size:
        step = int(rng.integers(1, 700_000))
        assert writer.write(content[start : start + step]) > 0
        start += step
    checksums = writer.finish()
    file.close()
    assert store.read("x") == content
    again = checksum_file(store, "x")
    assert again.size == checksums.size == size
    assert again.values.tolist() == checksums.values.tolist()
    assert len(again.values) == block_count(size)
    kept = BlockChecksums.from_json(json.loads(json.dumps(checksums.to_json())))
    verify_file(store, "x", kept)
    if size:
        damaged = bytearray(content)
        damaged[size // 2] ^= 4
        (tmp_path / "x").write_bytes(damaged)
        with pytest.raises(CorruptionError, match="x: wrong checksum"):
            verify_file(store, "x", kept)
    (tmp_path / "x").write_bytes(content + b"!")
    with pytest.raises(CorruptionError, match="bytes"):
        verify_file(store, "x", kept)


def test_a_wrong_record_is_refused() -> None:
    """Checksums that do not fit the size are a ValueError, not a later surprise."""
    good = BlockChecksums(5, np.array([1], np.uint32)).to_json()
    for wrong in ({"size": -1}, {"size": BLOCK_BYTES + 1}, {"crc32c": "!!"}):
        with pytest.raises(ValueError):
            BlockChecksums.from_json({**good, **wrong})

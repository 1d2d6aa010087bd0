"""BIN_IVF_FLAT: rows of bits in lists around centres; a search reads a few lists.

Lists are faiss' own, made by Hamming distance. They are read here, so that any metric
of bits is measured exactly and by one kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from elanus.distance.binary import BinaryBlock, Bits
from elanus.distance.native import faiss, native_threads
from elanus.distance.topk import Offsets, TopK
from elanus.errors import CorruptionError
from elanus.index.base import Allowed, BuildRequest, IndexMeta
from elanus.index.calibration import Lists, calibrate_lists
from elanus.index.params import parse_build_params

_ROWS_PER_LIST = 39
_TRAINING_ROWS_PER_LIST = 64
_CHUNK_ROWS = 65_536
# Fewer rows are measured one by one sooner than a calibration pays.
_MIN_CALIBRATED_ROWS = 4_096
_SEED_BITS = 0x7FFFFFFF


class BinaryIvfIndex:
    """An open index of lists of bits."""

    raw_rows = None
    sketch = None
    visits_lists = True
    is_lossy = False
    is_exact = False

    def __init__(self, meta: IndexMeta, native: Any) -> None:
        """Take over a ``faiss.IndexBinaryIVF``."""
        self.meta = meta
        self.full_effort: int = native.nlist
        self._native = native  # owns what the lists are views of
        self._centres = faiss.downcast_IndexBinary(native.quantizer)
        self._lists = [self._list(number) for number in range(native.nlist)]

    def _list(self, number: int) -> tuple[Offsets, Bits]:
        lists, width = self._native.invlists, self._native.code_size
        count = lists.list_size(number)
        if not count:
            return np.empty(0, np.int64), np.empty((0, width), np.uint8)
        offsets = faiss.rev_swig_ptr(lists.get_ids(number), count)
        codes = faiss.rev_swig_ptr(lists.get_codes(number), count * width)
        return offsets, codes.reshape(count, width)

    def lists(self) -> Lists:
        """The lists as a calibration sees them."""
        of_rows = np.empty(self.meta.rows, np.int64)
        for number, (offsets, _) in enumerate(self._lists):
            of_rows[offsets] = number

        def nearest(queries: Bits) -> Offsets:
            order: Offsets = self._centres.search(queries, self.full_effort)[1]
            return order

        return Lists(of_rows, nearest)

    def search(
        self, queries: Bits, limit: int, effort: int, allowed: Allowed | None
    ) -> TopK:
        """Read the ``nprobe`` = ``effort`` nearest lists."""
        nprobe = max(1, min(effort, self.full_effort))
        queries = np.ascontiguousarray(queries)
        _, chosen = self._centres.search(queries, nprobe)
        found = TopK.empty(len(queries), limit)
        for query in range(len(queries)):
            numbers = [number for number in chosen[query].tolist() if number >= 0]
            offsets, codes = self._gathered(numbers, allowed)
            block = BinaryBlock(codes, self.meta.metric)
            nearest = block.nearest_all(queries[query : query + 1], limit)
            at = nearest.offsets[0]
            found.offsets[query] = np.where(at < 0, -1, offsets[at]) if len(at) else at
            found.distances[query] = nearest.distances[0]
        return found

    def _gathered(
        self, numbers: list[int], allowed: Allowed | None
    ) -> tuple[Offsets, Bits]:
        """The allowed rows of some lists, ascending."""
        parts = [self._lists[number] for number in numbers]
        offsets = np.concatenate([part for part, _ in parts] or [_NO_OFFSETS])
        codes = np.concatenate([part for _, part in parts])
        order: npt.NDArray[np.intp] = np.argsort(offsets)
        if allowed is not None:
            order = order[allowed.mask[offsets[order]]]
        if not len(order):
            return np.full(1, -1, np.int64), codes[:0]
        return offsets[order], codes[order]


_NO_OFFSETS = np.empty(0, np.int64)


@dataclass(frozen=True)
class BinaryIvf:
    """Kind BIN_IVF_FLAT: ``nlist`` lists, fitted to few rows; BIN_FLAT has one list."""

    name: str

    def resolve(
        self, params: Mapping[str, Any], rows: int, dim: int
    ) -> Mapping[str, int]:
        """The parameters with their defaults, fitted to few rows."""
        parsed = parse_build_params(self.name, params)
        if rows and "nlist" in parsed:
            parsed["nlist"] = max(1, min(parsed["nlist"], rows // _ROWS_PER_LIST))
        return parsed

    def build(self, request: BuildRequest, path: Path) -> IndexMeta:
        """Train on a sample and add all rows."""
        resolved = self.resolve(request.params, request.rows, request.dim)
        nlist = resolved.get("nlist", 1) if request.rows else 1
        centres = faiss.IndexBinaryFlat(request.dim)
        native = faiss.IndexBinaryIVF(centres, request.dim, nlist)
        # The index frees its centres; two owners would free them twice.
        native.own_fields = True
        centres.this.disown()
        native.cp.min_points_per_centroid = 1
        native.cp.seed = request.seed & _SEED_BITS
        with native_threads(request.threads):
            request.step(0.0)
            if request.rows:
                native.train(_training_rows(request, nlist))
            for start in range(0, request.rows, _CHUNK_ROWS):
                request.step(0.5 + start / request.rows / 2)
                native.add(request.matrix[start : start + _CHUNK_ROWS])
            faiss.write_index_binary(native, str(path))
            meta = request.meta(self.name, resolved)
            if nlist > 1 and request.rows >= _MIN_CALIBRATED_ROWS:
                lists = BinaryIvfIndex(meta, native).lists()
                block = BinaryBlock(request.matrix, request.metric)
                found = calibrate_lists(block, lists, request.seed)
                meta = replace(meta, calibration=found)
        request.step(1.0)
        return meta

    def open(self, meta: IndexMeta, path: Path) -> BinaryIvfIndex:
        """Map the lists.

        Raises:
            CorruptionError: the file is not what ``meta`` says; rebuild the index.
        """
        try:
            native = faiss.read_index_binary(str(path), faiss.IO_FLAG_MMAP_IFC)
        except (RuntimeError, MemoryError) as error:
            raise CorruptionError(str(path), f"not readable: {error}") from error
        is_ivf = isinstance(native, faiss.IndexBinaryIVF)
        if not is_ivf or (native.ntotal, native.d) != (meta.rows, meta.dim):
            raise CorruptionError(str(path), f"is not the {self.name} index described")
        return BinaryIvfIndex(meta, native)


def _training_rows(request: BuildRequest, nlist: int) -> Bits:
    count = min(request.rows, _TRAINING_ROWS_PER_LIST * max(nlist, 64))
    rng = np.random.default_rng(request.seed)
    chosen = np.sort(rng.choice(request.rows, count, replace=False))
    return request.matrix[chosen]

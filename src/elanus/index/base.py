"""Contracts of the index layer: what a kind builds, and what a search sees of it.

Files are named by the caller, who also syncs, checksums and verifies them; an index is
only ever opened from a verified file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from elanus.distance.kernels import VectorBlock, normalised
from elanus.distance.metrics import Floats, Metric
from elanus.distance.topk import Offsets, TopK
from elanus.errors import Cancelled
from elanus.index.curve import Curve
from elanus.schema.sparse import SparseRows
from elanus.schema.vectors import Matrix, VectorRows, as_floats

BITS = npt.NDArray[np.uint8]
_SKETCH = ".sketch"
_REST = ".rest"


class Allowed:
    """The rows of a segment that a search may return, in the form each step needs.

    Forms are made on first use and kept; threads may share one object, at worst they
    make the same form twice. Where every row counts, pass ``None`` in its place.
    """

    def __init__(self, mask: npt.NDArray[np.bool_]) -> None:
        """Args: mask: (rows,) bool, C; kept, so it must not change afterwards."""
        self.mask = mask

    @classmethod
    def at(cls, offsets: Offsets, rows: int) -> Allowed:
        """The rows at ``offsets`` of a segment of ``rows``."""
        mask = np.zeros(rows, np.bool_)
        mask[offsets] = True
        return cls(mask)

    @property
    def rows(self) -> int:
        """Rows of the segment, allowed or not."""
        return len(self.mask)

    @cached_property
    def count(self) -> int:
        """Rows allowed."""
        return int(np.count_nonzero(self.mask))

    @cached_property
    def offsets(self) -> Offsets:
        """The allowed rows, (count,) int64, ascending."""
        return np.flatnonzero(self.mask)

    @cached_property
    def bits(self) -> BITS:
        """One bit a row, least significant first, as faiss' selectors read them."""
        return np.packbits(self.mask, bitorder="little")


@dataclass(frozen=True, slots=True)
class SearchParams:
    """What the user asked of an index, checked.

    Attributes:
        effort: ``ef`` of HNSW or ``nprobe`` of IVF; a floor, never lowered. 0 when it
            was not given: then what the build measured to be enough.
        level: AUTOINDEX' wish for more, 1 to 10: multiplies the measured effort.
        recall_target: share of the true rows to be found, in place of an effort; 0 when
            it was not given, 1.0 for an exact search.
    """

    effort: int = 0
    level: int = 1
    recall_target: float = 0.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was found at build time to be enough.

    Attributes:
        efforts: of indexes without a curve, which older versions built: (share of rows
            allowed, effort) for the usual recall at 10 rows, shares falling. A share
            that no effort tried could serve is left out, and so are all smaller ones.
        candidates: (share of rows allowed, rows that the sketch must name), in the same
            order; left out where no number tried was enough.
        curve: efforts by recall and by how many rows are wanted; ``None`` where nothing
            was measured.
    """

    efforts: tuple[tuple[float, int], ...] = ()
    candidates: tuple[tuple[float, int], ...] = ()
    curve: Curve | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calibration:
        """From plain JSON values."""
        curve = data.get("curve")
        return cls(
            _pairs(data["efforts"]),
            _pairs(data["candidates"]),
            None if curve is None else Curve.from_dict(curve),
        )


def _pairs(values: Iterable[tuple[float, int]]) -> tuple[tuple[float, int], ...]:
    return tuple((float(share), int(count)) for share, count in values)


@dataclass(frozen=True)
class IndexMeta:
    """Everything about a built index beside its files; plain JSON values.

    Attributes:
        index_type: the kind asked for ("AUTOINDEX" too).
        kind: the kind that was built.
        metric: how rows are compared.
        params: build parameters as the user gave them.
        resolved: parameters the build used: defaults filled in, fitted to few rows.
        rows, dim: shape of the rows.
        calibration: efforts for filtered searches.
        has_sketch: a second file, at :func:`sketch_path`, belongs to the index.
        has_rest: rows beside the index are in a file of their own, at
            :func:`rest_path`.
    """

    index_type: str
    kind: str
    metric: Metric
    rows: int
    dim: int
    params: Mapping[str, Any] = field(default_factory=dict)
    resolved: Mapping[str, int] = field(default_factory=dict)
    calibration: Calibration = Calibration()
    has_sketch: bool = False
    has_rest: bool = False

    def paths(self, path: Path) -> tuple[Path, ...]:
        """All files of the index when its main file is at ``path``."""
        beside = (sketch_path(path),) if self.has_sketch else ()
        return (path, *beside, rest_path(path)) if self.has_rest else (path, *beside)

    def to_dict(self) -> dict[str, Any]:
        """The durable form: plain JSON values."""
        data = asdict(self)
        data["metric"] = self.metric.value
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> IndexMeta:
        """The inverse of :meth:`to_dict`."""
        return cls(
            **{
                **data,
                "metric": Metric(data["metric"]),
                "calibration": Calibration.from_dict(data["calibration"]),
            }
        )


def sketch_path(path: Path) -> Path:
    """Where the sketch of the index at ``path`` lies."""
    return path.with_name(path.name + _SKETCH)


def rest_path(path: Path) -> Path:
    """Where the rows lie that the index at ``path`` is without."""
    return path.with_name(path.name + _REST)


def is_sketch(name: str) -> bool:
    """Whether a file of an index is its sketch, by its name."""
    return name.endswith(_SKETCH)


def _never() -> bool:
    return False


def _unheard(_share: float) -> None:
    return None


@dataclass(frozen=True)
class BuildRequest:
    """One index to build.

    Attributes:
        vectors: as the segment stores them, finite; may be mapped, are only read.
        metric: how rows are compared.
        params: build parameters as the user gave them; checked by the kind.
        index_type: the name the user gave, echoed in the meta.
        seed: of all sampling; the same request builds an index of the same recall.
        threads: OpenMP threads to use.
        graph_bytes: memory that an index which is loaded, not mapped, may take.
        progress: called with the share done, 0 to 1, never falling.
        is_cancelled: asked between chunks of work.
    """

    vectors: VectorRows
    metric: Metric
    params: Mapping[str, Any] = field(default_factory=dict)
    index_type: str = ""
    seed: int = 0
    threads: int = 1
    graph_bytes: int = 0
    progress: Callable[[float], None] = _unheard
    is_cancelled: Callable[[], bool] = _never

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.vectors)

    @property
    def matrix(self) -> Matrix:
        """The rows of a build over anything but sparse vectors."""
        assert isinstance(self.vectors, np.ndarray)
        return self.vectors

    @property
    def dim(self) -> int:
        """Dimensions of a row; 0 for sparse ones."""
        if isinstance(self.vectors, SparseRows):
            return 0
        per_value = 8 if self.matrix.dtype == np.uint8 else 1
        return int(self.matrix.shape[1]) * per_value

    def compared(self, rows: slice | Offsets) -> Floats:
        """Some rows as they are compared: float32, at unit length for COSINE."""
        wide = as_floats(self.matrix[rows])
        return normalised(wide) if self.metric.row.normalises else wide

    def meta(self, kind: str, resolved: Mapping[str, int] | None = None) -> IndexMeta:
        """What an index of this kind over the rows is, without its calibration."""
        return IndexMeta(
            index_type=self.index_type or kind,
            kind=kind,
            metric=self.metric,
            rows=self.rows,
            dim=self.dim,
            params=dict(self.params),
            resolved=resolved or {},
        )

    def step(self, share: float) -> None:
        """Report progress and stop here if the caller wants that.

        Raises:
            Cancelled: the build was cancelled; its file may be half written.
        """
        if self.is_cancelled():
            raise Cancelled("index build cancelled")
        self.progress(share)


class Prescan(Protocol):
    """A small lossy copy of all rows that names candidates for a filtered search."""

    def candidates(self, queries: Floats, count: int, allowed: Allowed) -> TopK:
        """The ``count`` allowed rows that look nearest; distances are rough."""
        ...


class VectorIndex(Protocol):
    """An open index. Many threads may search one at a time."""

    @property
    def meta(self) -> IndexMeta:
        """What was built."""
        ...

    @property
    def raw_rows(self) -> VectorBlock | None:
        """The rows held by the index, zero-copy; unit length for COSINE."""
        ...

    @property
    def sketch(self) -> Prescan | None:
        """The lossy copy, where one was built."""
        ...

    @property
    def full_effort(self) -> int:
        """The effort beyond which nothing more is visited."""
        ...

    @property
    def visits_lists(self) -> bool:
        """Whether the effort counts inverted lists; otherwise, graph candidates."""
        ...

    @property
    def is_lossy(self) -> bool:
        """Whether the index's own distances are approximate."""
        ...

    @property
    def is_exact(self) -> bool:
        """Whether a search finds whatever there is, however it is filtered."""
        ...

    def search(
        self, queries: Any, limit: int, effort: int, allowed: Allowed | None
    ) -> TopK:
        """The rows the index finds nearest; fewer than ``limit`` may come back.

        Args:
            queries: of numbers (nq, dim) float32, C, of unit length for COSINE;
                otherwise as the rows.
            limit: places wanted, at least 1.
            effort: ``ef`` or ``nprobe``; ignored by kinds without one.
            allowed: rows that may be returned.
        """
        ...


class IndexKind(Protocol):
    """A way to index vectors: one line of the registry."""

    @property
    def name(self) -> str:
        """Milvus' name, case-sensitive."""
        ...

    def resolve(
        self, params: Mapping[str, Any], rows: int, dim: int
    ) -> Mapping[str, int]:
        """Parameters a build would use; for ``rows`` 0 only checked, not fitted.

        Raises:
            InvalidParameter: a parameter is out of range or of the wrong type.
        """
        ...

    def build(self, request: BuildRequest, path: Path) -> IndexMeta:
        """Build and write the index to ``path`` (and its sketch beside it).

        Raises:
            InvalidParameter: a parameter is out of range or of the wrong type.
            Cancelled: the caller stopped the build.
        """
        ...

    def open(self, meta: IndexMeta, path: Path) -> VectorIndex:
        """Map the index at ``path``.

        Raises:
            CorruptionError: the file is not what ``meta`` says; rebuild the index.
        """
        ...

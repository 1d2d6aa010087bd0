"""One row per metric: its sign, and whether vectors are brought to unit length.

Inside Elanus smaller is nearer: the distance of L2 is the squared Euclidean distance,
that of HAMMING the number of bits that differ, that of JACCARD one minus the share of
common bits, that of IP and COSINE the negated similarity. A metric of lists of vectors
adds up, over the vectors of the query, the distance to the nearest of a row's.
:func:`scores_from_distances` and its inverse are the only place where the two meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from elanus.errors import InvalidParameter
from elanus.schema.types import DataType

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MetricRow:
    """What the rest of the system may know about one metric.

    Attributes:
        larger_is_better: on the wire, a larger score is a nearer row.
        normalises: rows and queries are compared at unit length; a zero vector stays
            zero, so that its similarity to everything is 0.0.
        of_each: of lists of vectors, how two vectors are compared; its name.
    """

    larger_is_better: bool
    normalises: bool
    of_each: str = ""


class Metric(StrEnum):
    """Milvus' metric names, upper-case as they are echoed."""

    L2 = "L2"
    IP = "IP"
    COSINE = "COSINE"
    HAMMING = "HAMMING"
    JACCARD = "JACCARD"
    BM25 = "BM25"
    MAX_SIM = "MAX_SIM"
    MAX_SIM_COSINE = "MAX_SIM_COSINE"
    MAX_SIM_IP = "MAX_SIM_IP"
    MAX_SIM_L2 = "MAX_SIM_L2"
    MAX_SIM_HAMMING = "MAX_SIM_HAMMING"
    MAX_SIM_JACCARD = "MAX_SIM_JACCARD"

    @property
    def of_each(self) -> Metric:
        """How two vectors are compared, where rows are lists of them."""
        return Metric(self.row.of_each) if self.row.of_each else self

    @property
    def row(self) -> MetricRow:
        """This metric's row in the table."""
        return METRICS[self]

    @classmethod
    def from_name(
        cls,
        name: str,
        dtype: DataType = DataType.FLOAT_VECTOR,
        default: str = "",
        *,
        of_lists: bool = False,
    ) -> Metric:
        """The metric called ``name`` in any case, for vectors of a type.

        Args:
            default: used where no name is given.
            of_lists: whether rows are lists of such vectors.

        Raises:
            InvalidParameter: such vectors have no such metric.
        """
        wanted = (name or default).upper()
        vector = dtype.vector.listed if of_lists else dtype.vector
        if wanted in vector.metrics:
            return cls(wanted)
        raise InvalidParameter(
            _complaint(dtype, name),
            expected="valid index params",
            actual="invalid index params",
        )


def _complaint(dtype: DataType, name: str) -> str:
    if dtype.vector.is_sparse:
        return "only IP&BM25 is the supported metric type for sparse index"
    kinds = {DataType.BINARY_VECTOR: "binary", DataType.INT8_VECTOR: "int"}
    kind = kinds.get(dtype, "float")
    return f"{kind} vector index does not support metric type: {name}"


METRICS: dict[Metric, MetricRow] = {
    Metric.L2: MetricRow(larger_is_better=False, normalises=False),
    Metric.IP: MetricRow(larger_is_better=True, normalises=False),
    Metric.COSINE: MetricRow(larger_is_better=True, normalises=True),
    Metric.HAMMING: MetricRow(larger_is_better=False, normalises=False),
    Metric.JACCARD: MetricRow(larger_is_better=False, normalises=False),
    Metric.BM25: MetricRow(larger_is_better=True, normalises=False),
    Metric.MAX_SIM: MetricRow(True, True, "COSINE"),
    Metric.MAX_SIM_COSINE: MetricRow(True, True, "COSINE"),
    Metric.MAX_SIM_IP: MetricRow(True, False, "IP"),
    Metric.MAX_SIM_L2: MetricRow(False, False, "L2"),
    Metric.MAX_SIM_HAMMING: MetricRow(False, False, "HAMMING"),
    Metric.MAX_SIM_JACCARD: MetricRow(False, False, "JACCARD"),
}


def scores_from_distances(distances: Floats, metric: Metric) -> Floats:
    """The metric's own numbers: L2 unchanged, IP and COSINE as similarities.

    Any shape; +inf of an empty place becomes -inf where larger is better.
    """
    # 0.0 - x, since negating 0.0 gives -0.0, which prints as "-0.0".
    return np.float32(0.0) - distances if metric.row.larger_is_better else distances


def distances_from_scores(scores: Floats, metric: Metric) -> Floats:
    """The inverse of :func:`scores_from_distances`."""
    return scores_from_distances(scores, metric)

"""Which partitions can hold rows that a filter matches, told by the partition key."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from elanus.engine.routing import places
from elanus.engine.version import Version
from elanus.expr.predicate import Predicate
from elanus.expr.prune import values_of
from elanus.schema.arrays import array_of_plain
from elanus.schema.schema import FieldSchema

# More values than partitions reach nearly all of them.
_MOST_VALUES = 1024


def reachable(
    version: Version, predicate: Predicate, partitions: frozenset[int]
) -> frozenset[int]:
    """Those of the partitions in which rows can match; all, where that is not known.

    Args:
        partitions: ids.
    """
    key = version.schema.partition_key
    if key is None:
        return partitions
    values = values_of(predicate.condition, key.id)
    if values is None or len(values) > _MOST_VALUES:
        return partitions
    return partitions & _partitions_of(values, version.partitions, _kind(key))


def _kind(key: FieldSchema) -> type:
    return int if pa.types.is_integer(key.arrow_type) else str


@lru_cache(maxsize=1024)
def _partitions_of(
    values: frozenset[Any], partitions: frozenset[int], kind: type
) -> frozenset[int]:
    """Where rows with these values of the key lie; values of another type lie nowhere.

    Args:
        partitions: all of the collection; their ids ascend in order of creation.
    """
    kept = [v for v in values if type(v) is kind and _fits(v)]
    if not kept:
        return frozenset()
    found = places(array_of_plain(kept), sorted(partitions))
    return frozenset(np.atleast_1d(found).tolist())


def _fits(value: Any) -> bool:
    return isinstance(value, str) or -(1 << 63) <= value < 1 << 63

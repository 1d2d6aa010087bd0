"""What requests are made of: columns, queries, options; plain frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from elanus.schema.vectors import VectorColumn, VectorRows


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to load.

    Attributes:
        replicas: copies to hold; 0 for the default.
        refresh: look for what was added since the last load.
        fields: load only these; empty for all.
    """

    replicas: int = 0
    resource_groups: tuple[str, ...] = ()
    refresh: bool = False
    fields: tuple[str, ...] = ()
    skip_dynamic: bool = False
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ColumnData:
    """Values of one field as a client sent them, of the type it sent.

    Attributes:
        type_number: the declared data type, perhaps one we do not know.
        slot: the kind of payload ("long_data", "float_vector"); empty when absent.
        values: a scalar column as an Arrow array with its nulls in place; JSON as text
            (binary); ``None`` for a payload that has no column form.
        parts: of a struct array, the columns of its fields.
        n_flags: how many rows it tells to be null or not; 0 when it tells of none.
    """

    name: str
    type_number: int
    slot: str
    values: pa.Array | VectorColumn | None
    is_dynamic: bool = False
    parts: tuple[ColumnData, ...] = ()
    n_flags: int = 0

    @property
    def n_rows(self) -> int:
        """Rows in the column, null ones included."""
        return 0 if self.values is None else len(self.values)


@dataclass(frozen=True, slots=True)
class Consistency:
    """How fresh a read must be.

    Attributes:
        level: Milvus' number; ``None`` for the collection's own.
        guarantee_ts: a hybrid timestamp, or 0 strong, 1 eventually, 2 bounded.
    """

    level: int | None
    guarantee_ts: int


@dataclass(frozen=True, slots=True)
class Queries:
    """Query vectors, or texts that a function turns into vectors.

    Attributes:
        type_number: Milvus' placeholder type.
        vectors: as they were sent; ``None`` for anything but vectors.
        raw: one value per query of other types.
    """

    type_number: int
    vectors: VectorRows | None
    raw: tuple[bytes, ...] = ()

    @property
    def nq(self) -> int:
        """How many queries there are."""
        return len(self.raw) if self.vectors is None else len(self.vectors)


@dataclass(frozen=True, slots=True)
class SearchIterator:
    """One step of a walk over all rows, nearest first.

    Attributes:
        is_v2: whether the server keeps the place, under ``token``.
        batch_rows: ``None`` when not given.
        last_bound: score of the last row received; ``None`` on the first call.
    """

    is_v2: bool
    batch_rows: int | None
    last_bound: float | None
    token: str


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What a search asks for beside its queries and filter. Equal texts share one.

    Attributes:
        anns_field: the vector field; empty when there is only one.
        params: the index's search parameters.
        round_decimal: places to round scores to; -1 for none.
        collection_id: the collection an iterator began on; 0 when not said.
        extra: parameters that have no place of their own.
    """

    limit: int
    offset: int = 0
    anns_field: str = ""
    metric_type: str = ""
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)
    round_decimal: int = -1
    ignore_growing: bool = False
    group_by_field: str = ""
    group_size: int | None = None
    strict_group_size: bool = False
    order_by_fields: str = ""
    iterator: SearchIterator | None = None
    collection_id: int = 0
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class HybridOptions:
    """How the answers of several searches become one. Equal texts share one.

    Attributes:
        limit, offset: of groups, where there are any.
        round_decimal: places to round scores to; -1 for none.
        ranker: its name; empty for the default.
        params: of the ranker, as JSON has them.
        group_scorer: how rows make the score of a group; empty for the default.
    """

    limit: int
    offset: int = 0
    round_decimal: int = -1
    ranker: str = ""
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)
    group_scorer: str = ""


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What a query asks for beside its filter. Equal texts share one.

    Attributes:
        limit: rows wanted; ``None`` for all.
        is_iterator: whether this is one step of a walk over all rows.
        collection_id: the collection an iterator began on; 0 when not said.
        extra: parameters that have no place of their own.
    """

    limit: int | None = None
    offset: int = 0
    ignore_growing: bool = False
    is_iterator: bool = False
    stop_for_best: bool = False
    collection_id: int = 0
    order_by_fields: str = ""
    group_by_fields: str = ""
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)

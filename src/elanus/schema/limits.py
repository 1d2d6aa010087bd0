"""Every limit on names, sizes and counts, one row each: checks, docs and tests read it.

The values are Milvus' defaults. Those of a whole process can be raised, by the settings
in :mod:`elanus.config` that are named after them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


class Limit(int):
    """A number that something may not exceed, or, where it says so, not fall below.

    Attributes:
        setting: where Milvus has it; empty for what is fixed there, or only here.
        bounds: what.
    """

    setting: str
    bounds: str

    def __new__(cls, value: int, setting: str, bounds: str) -> Limit:
        """A row of the table."""
        limit = super().__new__(cls, value)
        limit.setting, limit.bounds = setting, bounds
        return limit


NAME_BYTES: Final = Limit(255, "proxy.maxNameLength", "any name")
DESCRIPTION_BYTES: Final = Limit(
    1024, "proxy.maxCollectionDescriptionLength", "description of a collection"
)
FIELDS: Final = Limit(
    64, "proxy.maxFieldNum", "fields of a collection, of structs their own and one more"
)
VECTOR_FIELDS: Final = Limit(10, "proxy.maxVectorFieldNum", "of them vectors")
DIM_MIN: Final = Limit(2, "", "dimensions of a vector, at least")
DIM_MAX: Final = Limit(32768, "proxy.maxDimension", "dimensions of a vector")
BINARY_DIM_MAX: Final = Limit(
    262144, "proxy.maxDimension", "dimensions of a vector of bits, eight times as many"
)
SPARSE_INDEX_MAX: Final = Limit((1 << 32) - 2, "", "index in a sparse vector")
VARCHAR_BYTES: Final = Limit(65535, "proxy.maxVarCharLength", "`max_length`")
ARRAY_CAPACITY: Final = Limit(4096, "proxy.maxArrayCapacity", "`max_capacity`")
JSON_BYTES: Final = Limit(
    65536, "common.JSONMaxLength", "a JSON value, and all dynamic keys of a row"
)
TEXT_MAX_LENGTH: Final = Limit(
    2 << 20, "proxy.maxTextLength", "`max_length` of a TEXT field that has one"
)
GEOMETRY_DEPTH: Final = Limit(32, "", "nesting of geometry collections")
PARTITIONS: Final = Limit(
    1024, "rootCoord.maxPartitionNum", "partitions of a collection"
)
COLLECTIONS: Final = Limit(
    65536,
    "quotaAndLimits.limits.maxCollectionNum",
    "collections, in all databases together and in each",
)
TTL_S: Final = Limit(3_155_760_000, "", "seconds until rows expire")
DATABASES: Final = Limit(
    64, "rootCoord.maxDatabaseNum", "databases, the default one not counted"
)
SHARDS: Final = Limit(16, "proxy.maxShardNum", "`num_shards`")
LIMIT: Final = Limit(
    16384, "quotaAndLimits.limits.topK", "`limit`, and `offset` and `limit` together"
)
LARGE_LIMIT: Final = Limit(
    1_000_000,
    "quotaAndLimits.limits.largeTopK",
    "the same where `query_mode` is `large_topk`",
)
NQ: Final = Limit(16384, "quotaAndLimits.limits.nq", "queries of one search")
GROUP_SIZE: Final = Limit(10, "quotaAndLimits.limits.maxGroupSize", "`group_size`")
AGGREGATION_LEVELS: Final = Limit(4, "", "levels of a search aggregation")
AGGREGATION_KEYS: Final = Limit(10, "", "fields that a search aggregation groups by")
AGGREGATION_ENTRIES: Final = Limit(
    10_000,
    "proxy.maxSearchAggregationResultEntries",
    "rows of a search aggregation: queries, sizes of all levels and the largest of "
    "`top_hits` multiplied",
)
RESOURCE_GROUPS: Final = Limit(
    1024, "quotaAndLimits.limits.maxResourceGroupNumOfQueryNode", "resource groups"
)
HYBRID_SEARCHES: Final = Limit(1024, "", "searches of one hybrid search")
INSERT_BYTES: Final = Limit(
    1 << 30, "quotaAndLimits.limits.maxInsertSize", "one insert; Milvus has no limit"
)
INDEX_PARAMS_BYTES: Final = Limit(
    100 << 10, "proxy.maxIndexParamsSize", "keys and values of an index's parameters"
)
EXPRESSION_BYTES: Final = Limit(64 << 20, "", "a filter")
EXPRESSION_DEPTH: Final = Limit(
    4096, "", "levels of a filter: a condition in parentheses behind `and` has three"
)

LIMITS: Final[Mapping[str, Limit]] = {
    name: value for name, value in list(globals().items()) if isinstance(value, Limit)
}

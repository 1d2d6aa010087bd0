"""Every limit on names, sizes and counts, one row each: checks, docs and tests read it.

Values are Milvus' defaults (``proxy.*`` and ``quotaAndLimits.limits.*``).
"""

from __future__ import annotations

from typing import Final

NAME_BYTES: Final = 255
DESCRIPTION_BYTES: Final = 1024
FIELDS: Final = 64
VECTOR_FIELDS: Final = 10
DIM_MIN: Final = 2
DIM_MAX: Final = 32768
BINARY_DIM_MAX: Final = 262144
SPARSE_INDEX_MAX: Final = (1 << 32) - 2
VARCHAR_BYTES: Final = 65535
ARRAY_CAPACITY: Final = 4096
JSON_BYTES: Final = 65536
TEXT_MAX_LENGTH: Final = 2 << 20
GEOMETRY_DEPTH: Final = 32
PARTITIONS: Final = 1024
COLLECTIONS: Final = 65536
TTL_S: Final = 3_155_760_000
DATABASES: Final = 64
SHARDS: Final = 16
LIMIT: Final = 16384
NQ: Final = 16384
GROUP_SIZE: Final = 10
RESOURCE_GROUPS: Final = 1024
LARGE_LIMIT: Final = 1_000_000
HYBRID_SEARCHES: Final = 1024
INSERT_BYTES: Final = 1 << 30
INDEX_PARAMS_BYTES: Final = 100 << 10
EXPRESSION_BYTES: Final = 64 << 20

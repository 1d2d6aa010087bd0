"""The parameter of a field that says to leave it out of loads: checked, else ignored.

Here every field is read from its file when it is asked for, loaded or not.
"""

from __future__ import annotations

from collections.abc import Iterable

from elanus.errors import InvalidParameter
from elanus.schema.schema import FieldSchema

SKIP_LOAD = "field.skipLoad"


def check_skipped_loads(fields: Iterable[FieldSchema]) -> None:
    """Raise if fields that every read needs would not be loaded.

    Raises:
        InvalidParameter: keys, or every vector.
    """
    fields = tuple(fields)
    for field in filter(_is_skipped, fields):
        kinds = {
            "Primary key": field.is_primary,
            "Partition Key": field.is_partition_key,
            "Clustering Key": field.is_clustering_key,
        }
        for kind, is_of_kind in kinds.items():
            if is_of_kind:
                raise InvalidParameter(f"{kind} field {field.name} cannot skip loading")
    vectors = [field for field in fields if field.is_vector]
    if vectors and all(map(_is_skipped, vectors)):
        raise InvalidParameter("cannot config all vector field(s) skip loading")


def _is_skipped(field: FieldSchema) -> bool:
    return field.properties.get(SKIP_LOAD, "").lower() == "true"

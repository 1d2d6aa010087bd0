"""What the index of a field is to be, from what the user of the library asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from elanus.distance.metrics import Metric
from elanus.engine.definition import CollectionDefinition, IndexDefinition
from elanus.engine.read.plan import vector_field
from elanus.index.registry import index_kind_for
from elanus.schema.schema import FieldSchema
from elanus.service.index_rules import scalar_index, vector_index
from elanus.service.json_paths import path_of


def index_of(
    collection: CollectionDefinition, asked: IndexDefinition, field: str
) -> IndexDefinition:
    """The definition of an index, checked.

    Args:
        asked: what was asked for; without a name it gets that of the field.
        field: its name, or a key of the dynamic field; empty for the only vectors.

    Raises:
        InvalidParameter: the field is not there, or may not have such an index.
    """
    schema = collection.schema
    chosen = schema.by_name.get(field)
    if chosen is None and field and schema.dynamic is not None:
        chosen = schema.dynamic
    if chosen is None or chosen.is_vector:
        return _of_vectors(collection, asked, vector_field(schema, field))
    params = dict(asked.params)
    path = path_of(chosen, field, params)
    name = asked.name or chosen.name + path
    return replace(scalar_index(name, chosen, asked.index_type, params), path=path)


def _of_vectors(
    collection: CollectionDefinition, asked: IndexDefinition, field: FieldSchema
) -> IndexDefinition:
    metric = asked.metric or collection.metric_of(field)
    name, params = asked.name or field.name, dict[str, Any](asked.params)
    if field.is_vector_list:
        return vector_index(name, field, asked.index_type, metric, params)
    kind = index_kind_for(asked.index_type, field.dtype)
    kind.resolve(params, 0, field.dim or 0)
    metric = Metric.from_name(metric, field.dtype).value
    return IndexDefinition(name, field.id, kind.name, metric, params)

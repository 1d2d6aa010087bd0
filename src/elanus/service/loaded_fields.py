"""Which fields a client may read: those that were named when the collection was loaded.

All of them can be read here; those left out are refused as Milvus refuses them.
"""

from __future__ import annotations

from elanus.engine.definition import CollectionDefinition
from elanus.errors import InvalidParameter, QueryPlanError
from elanus.expr.predicate import Predicate
from elanus.schema.schema import FieldSchema

ALL = "*"


def readable_names(
    definition: CollectionDefinition, names: tuple[str, ...]
) -> tuple[str, ...]:
    """Output names of a read, with those of the loaded fields in the place of ``*``.

    Raises:
        InvalidParameter: a field is not loaded.
    """
    hidden = _left_out(definition)
    if not hidden:
        return names
    schema = definition.schema
    dynamic = schema.dynamic
    has_dynamic = dynamic is not None and dynamic.name not in hidden
    told: list[str] = []
    for name in names:
        if name == ALL:
            made = {f.name for f in schema.fields if f.is_function_output}
            shown = [f for f in schema.fields if f.name not in hidden | made]
            told += dict.fromkeys(f.struct or f.name for f in shown)
        elif name in hidden and name != getattr(dynamic, "name", ""):
            raise InvalidParameter(f"field {name} is not loaded")
        elif name in schema.by_name or name in schema.parts or has_dynamic:
            told.append(name)
        elif dynamic is not None:
            raise InvalidParameter(
                f"field {name} cannot be returned since dynamic field not loaded"
            )
        else:
            told.append(name)  # is refused for what it is
    return tuple(told)


def check_filter_loaded(
    definition: CollectionDefinition, predicate: Predicate | None, text: str
) -> None:
    """Raise if a filter reads a field that is not loaded.

    Raises:
        QueryPlanError: load it, or leave it out of the filter.
    """
    hidden = _left_out(definition)
    if not hidden or predicate is None:
        return
    for field in definition.schema.fields:
        if field.id in predicate.fields and field.name in hidden:
            why = (
                "the expression is dynamic but dynamic field is not loaded"
                if field.is_dynamic
                else f"field {field.name} is not loaded"
            )
            raise QueryPlanError(
                f"failed to create query plan: cannot parse expression: {text}, "
                f"error: {why}"
            )


def check_searched_loaded(definition: CollectionDefinition, field: FieldSchema) -> None:
    """Raise unless a field that is searched is loaded.

    Raises:
        InvalidParameter: load it.
    """
    if field.name in _left_out(definition):
        raise InvalidParameter(f"field {field.name} is not loaded")


def _left_out(definition: CollectionDefinition) -> frozenset[str]:
    """Names of the fields that were left out when the collection was loaded."""
    loaded = definition.loaded
    if loaded is None or not loaded.fields:
        return frozenset()
    return frozenset(
        field.name
        for field in definition.schema.fields
        if field.name not in loaded.fields and field.struct not in loaded.fields
    )

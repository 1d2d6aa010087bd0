"""Which schemas are allowed, with Milvus' texts for those that are not.

Pure: a schema in, the same schema with ids and ``$meta`` out, or an error.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from elanus.errors import (
    IllegalSchema,
    InvalidParameter,
    MissingParameter,
    RequestError,
    VectorClusteringKey,
)
from elanus.schema import limits
from elanus.schema.check_structs import check_structs
from elanus.schema.codecs import encode_default
from elanus.schema.functions import check_functions
from elanus.schema.names import RESERVED_NAMES, check_field_name
from elanus.schema.schema import (
    DYNAMIC_FIELD,
    CollectionSchema,
    FieldSchema,
    StructSchema,
)
from elanus.schema.types import DataType
from elanus.schema.zones import UTC

_CLUSTERING_TYPES = frozenset(
    {
        DataType.INT8,
        DataType.INT16,
        DataType.INT32,
        DataType.INT64,
        DataType.FLOAT,
        DataType.DOUBLE,
        DataType.VARCHAR,
    }
)


def check_schema(
    schema: CollectionSchema,
    collection: str,
    *,
    dynamic: bool = False,
    zone: str = UTC,
) -> CollectionSchema:
    """The schema as it will be stored: names trimmed, ids given, ``$meta`` added.

    Args:
        zone: of default points in time that name none.

    Raises:
        InvalidParameter, MissingParameter, FieldNameInvalid: the first rule broken, in
            Milvus' order.
    """
    schema = _with_outputs_marked(schema.with_ids())
    fields = schema.fields
    check_functions(schema.functions, fields, collection)
    if len(fields) + len(schema.structs) > limits.FIELDS:
        raise InvalidParameter(
            f"maximum field's number should be limited to {limits.FIELDS}"
        )
    vectors = [f for f in fields if f.is_vector]
    if len(vectors) > limits.VECTOR_FIELDS:
        raise InvalidParameter(
            f"maximum vector field's number should be limited to {limits.VECTOR_FIELDS}"
        )
    if not vectors:
        raise InvalidParameter("schema does not contain vector field")
    if len(schema.description.encode()) > limits.DESCRIPTION_BYTES:
        raise InvalidParameter(
            f"the length of a collection description must not exceed "
            f"{limits.DESCRIPTION_BYTES} bytes"
        )
    for name in (*(f.part for f in fields), *schema.struct_by_name):
        if name in RESERVED_NAMES:
            check_field_name(name)
    plain = schema.plain
    _check_primary(plain)
    if any(f.is_dynamic for f in fields):
        raise InvalidParameter("cannot explicitly set a field as a dynamic field")
    _check_auto_id(plain)
    _check_partition_key(plain)
    _check_clustering_key(plain, collection)
    check_field = partial(_check_field, collection=collection, zone=zone)
    checked = tuple(map(check_field, plain))
    structs, parts = check_structs(schema, check_field)
    names = [*(f.name for f in checked), *(struct.name for struct in structs)]
    for name in names:
        if names.count(name) > 1:
            raise InvalidParameter(f"duplicated field name {name} found")
    if dynamic:
        meta = FieldSchema(DYNAMIC_FIELD, DataType.JSON, nullable=True, is_dynamic=True)
        checked = (*checked, meta)
    return replace(schema, fields=(*checked, *parts), structs=structs).with_ids()


def _with_outputs_marked(schema: CollectionSchema) -> CollectionSchema:
    """The same, its fields that functions make known as such."""
    made = {name for function in schema.functions for name in function.outputs}
    fields = (replace(f, is_function_output=f.name in made) for f in schema.fields)
    return replace(schema, fields=tuple(fields))


def _check_primary(fields: tuple[FieldSchema, ...]) -> None:
    primaries = [f for f in fields if f.is_primary]
    if not primaries:
        raise MissingParameter("primary key is not specified")
    if len(primaries) > 1:
        names = ", ".join(f.name for f in primaries)
        raise InvalidParameter(
            f"there are more than one primary key, field name = {names}"
        )
    if not primaries[0].dtype.row.can_be_pk:
        raise InvalidParameter(
            "the data type of primary key should be Int64 or VarChar"
        )


def _check_auto_id(fields: tuple[FieldSchema, ...]) -> None:
    for f in fields:
        if f.auto_id and not f.is_primary:
            raise InvalidParameter(
                f"only primary field can speficy AutoID with true, "
                f"field name = {f.name}"
            )


def _check_partition_key(fields: tuple[FieldSchema, ...]) -> None:
    keys = [f for f in fields if f.is_partition_key]
    if len(keys) > 1:
        names = ", ".join(f.name for f in keys)
        raise InvalidParameter(
            f"there are more than one partition key, field name = {names}"
        )
    for f in keys:
        if f.is_primary:
            raise InvalidParameter("the partition key field must not be primary field")
        if f.nullable:
            raise InvalidParameter("partition key field not support nullable")
        if f.dtype not in (DataType.INT64, DataType.VARCHAR):
            raise InvalidParameter(
                "the data type of partition key should be Int64 or VarChar"
            )


def _check_clustering_key(fields: tuple[FieldSchema, ...], collection: str) -> None:
    keys = [f for f in fields if f.is_clustering_key]
    for f in keys:
        if f.is_vector:
            raise VectorClusteringKey(collection)
        if f.dtype not in _CLUSTERING_TYPES:
            raise IllegalSchema(
                f"clustering key field {f.name} has unsupported data type "
                f"{f.dtype.row.name}",
                collection,
            )
    if len(keys) > 1:
        names = ", ".join(f.name for f in keys)
        raise IllegalSchema(
            f"there are more than one clustering key, field name = {names}", collection
        )


def check_added_field(
    field: FieldSchema, schema: CollectionSchema, collection: str, zone: str = UTC
) -> FieldSchema:
    """The field as it will be stored when it is added to a collection.

    Args:
        zone: of a default point in time that names none.

    Raises:
        InvalidParameter, MissingParameter, FieldNameInvalid: the first rule broken, in
            Milvus' order.
    """
    name = field.name
    if len(schema.visible) + len(schema.structs) >= limits.FIELDS:
        raise InvalidParameter(
            f"The number of fields has reached the maximum value {limits.FIELDS}"
        )
    if name in RESERVED_NAMES or name in (DYNAMIC_FIELD, "$namespace_id"):
        raise InvalidParameter(f"not support to add system field, field name = {name}")
    if field.is_primary:
        raise InvalidParameter(f"not support to add pk field, field name = {name}")
    _check_auto_id((field,))
    if field.is_partition_key:
        raise InvalidParameter(
            f"not support to add partition key field, field name  = {name}"
        )
    if field.is_clustering_key and any(f.is_clustering_key for f in schema.fields):
        raise InvalidParameter(
            f"already has another clustering key field, field name: {name}"
        )
    _check_clustering_key((field,), collection)
    if field.is_vector:
        if len(schema.vectors) >= limits.VECTOR_FIELDS:
            raise InvalidParameter(
                f"maximum vector field's number should be limited to "
                f"{limits.VECTOR_FIELDS}"
            )
        if field.dim is None and not field.vector.is_sparse:
            raise InvalidParameter(
                f"vector field must have dimension specified, field name = {name}"
            )
    if field.dtype is DataType.TEXT and field.default is not None:
        raise InvalidParameter(
            f"default value is not supported when adding TEXT field, field name = "
            f"{name}"
        )
    if not field.nullable:
        raise InvalidParameter(
            f"added field must be nullable, please check it, field name = {name}"
        )
    checked = _check_field(field, collection, zone)
    if checked.name in schema.by_name or checked.name in schema.struct_by_name:
        raise InvalidParameter(f"duplicated field name {checked.name}")
    return checked


def check_ttl(seconds: int) -> None:
    """Raise unless rows can expire after so many seconds; 0 and -1 mean never.

    Raises:
        InvalidParameter.
    """
    if not -1 <= seconds <= limits.TTL_S:
        raise InvalidParameter(
            f"collection TTL is out of range, expect [-1, {limits.TTL_S}], got "
            f"{seconds}"
        )


def check_dropped_field(field: FieldSchema, schema: CollectionSchema) -> None:
    """Raise unless a field may be dropped.

    Raises:
        InvalidParameter: the collection cannot be without it.
    """
    name = field.name
    if field.struct:
        raise InvalidParameter(
            f"cannot drop sub-field of struct array field: {field.struct}.{field.part}"
        )
    if field.is_primary:
        raise InvalidParameter(f"cannot drop primary key field: {name}")
    if field.is_partition_key:
        raise InvalidParameter(f"cannot drop partition key field: {name}")
    if field.is_clustering_key:
        raise InvalidParameter(f"cannot drop clustering key field: {name}")
    for function in schema.functions:
        if name in function.inputs:
            raise InvalidParameter(
                f"field is referenced by function {function.name} as input, drop "
                f"function first"
            )
        if name in function.outputs:
            raise InvalidParameter(
                f"field is referenced by function {function.name} as output, drop "
                f"function first"
            )
    if field.is_dynamic:
        raise InvalidParameter(
            f"cannot drop dynamic field: {name}, use AlterCollection to disable "
            f"dynamic schema instead"
        )
    if field.is_vector and len(schema.vectors) == 1:
        raise InvalidParameter(f"cannot drop the last vector field: {name}")


def check_added_struct(
    struct: StructSchema,
    parts: tuple[FieldSchema, ...],
    schema: CollectionSchema,
    collection: str,
) -> tuple[StructSchema, tuple[FieldSchema, ...]]:
    """The struct and its fields as they will be stored when they are added.

    Raises:
        InvalidParameter, MissingParameter, FieldNameInvalid: the first rule broken, in
            Milvus' order.
    """
    name = struct.name
    for one in (name, *(f.part for f in parts)):
        if one in RESERVED_NAMES or one in (DYNAMIC_FIELD, "$namespace_id"):
            raise InvalidParameter(
                f"not support to add system field, field name = {one}"
            )
    if not struct.nullable:
        raise InvalidParameter(
            f"added struct field must be nullable, please check it, struct field name "
            f"= {name}"
        )
    taken = len(schema.visible) + len(schema.structs)
    if taken + len(parts) + 1 > limits.FIELDS:
        raise InvalidParameter(
            f"The number of fields has reached the maximum value {limits.FIELDS}"
        )
    if len(schema.vectors) + sum(f.is_vector for f in parts) > limits.VECTOR_FIELDS:
        raise InvalidParameter(
            f"maximum vector field's number should be limited to {limits.VECTOR_FIELDS}"
        )
    alone = CollectionSchema(parts, structs=(struct,))
    # no field of a struct is a point in time
    check_field = partial(_check_field, collection=collection, zone=UTC)
    structs, checked = check_structs(alone, check_field)
    name = structs[0].name
    if name in schema.by_name or name in schema.struct_by_name:
        raise InvalidParameter(f"duplicated field name {name}")
    return structs[0], checked


def check_dropped_struct(struct: StructSchema, schema: CollectionSchema) -> None:
    """Raise unless a struct may be dropped.

    Raises:
        InvalidParameter: the collection cannot be without it.
    """
    if all(f.struct == struct.name for f in schema.vectors):
        raise InvalidParameter(
            f"cannot drop struct array field {struct.name}: it would leave no vector "
            f"field in the collection"
        )


def _check_field(field: FieldSchema, collection: str, zone: str) -> FieldSchema:
    field = replace(field, name=check_field_name(field.name))
    if field.is_vector_list and not field.struct:
        raise InvalidParameter(
            f"array of vector can only be in the struct array field, field name: "
            f"{field.name}"
        )
    if field.is_vector:
        _check_dim(field)
    elif field.dim is not None:
        raise InvalidParameter(f"dim is not allowed on field {field.name}")
    if field.dtype is DataType.ARRAY:
        _check_array(field)
    if field.dtype is DataType.ARRAY or field.is_vector_list:
        _check_capacity(field, collection)
    is_limited = field.dtype is DataType.TEXT and field.max_length is not None
    if is_limited or DataType.VARCHAR in (field.dtype, field.element_type):
        _check_max_length(field, collection)
    _check_nullable(field)
    if field.default is not None:
        field = replace(field, default=_check_default(field, zone))
    return field


def _check_dim(field: FieldSchema) -> None:
    vector = field.vector
    if vector.is_sparse:
        if field.dim is not None:
            raise InvalidParameter(
                f"dim should not be specified for sparse vector field "
                f"{field.name}({field.id})"
            )
        return
    if field.dim is None:
        raise MissingParameter(
            f"dimension is not defined in field type params of field {field.name}, "
            f"check type param `dim` for vector field"
        )
    if not isinstance(field.dim, int) or isinstance(field.dim, bool):
        raise InvalidParameter(f"invalid dimension: {field.dim} of field {field.name}")
    if field.dim < limits.DIM_MIN:
        raise InvalidParameter(
            f"invalid dimension: {field.dim}. should be in range {limits.DIM_MIN} ~ "
            f"{limits.DIM_MAX}"
        )
    about = f"invalid dimension: {field.dim} of field {field.name}."
    kind = "binary" if vector.dims_per_value > 1 else "float"
    if field.dim % vector.dims_per_value:
        raise InvalidParameter(
            f"{about} {kind} vector dimension should be multiple of "
            f"{vector.dims_per_value}."
        )
    if field.dim > vector.dim_max:
        raise InvalidParameter(
            f"{about} {kind} vector dimension should be in range {limits.DIM_MIN} ~ "
            f"{vector.dim_max}"
        )


def _check_array(field: FieldSchema) -> None:
    element = field.element_type
    if element is None:
        raise InvalidParameter("element data type None is not valid")
    if not element.row.can_be_element:
        raise InvalidParameter(f"element type {element.row.name} is not supported")


def _check_capacity(field: FieldSchema, collection: str) -> None:
    if field.max_capacity is None:
        raise MissingParameter(
            f"type param(max_capacity) should be specified for array field "
            f"{field.name} of collection {collection}"
        )
    if not isinstance(field.max_capacity, int):
        raise InvalidParameter(
            f"the value for max_capacity of field {field.name} must be an integer"
        )
    if not 0 < field.max_capacity <= limits.ARRAY_CAPACITY:
        raise InvalidParameter(
            f"the maximum capacity specified for a Array should be in "
            f"(0, {limits.ARRAY_CAPACITY}]"
        )


def _check_max_length(field: FieldSchema, collection: str) -> None:
    if field.max_length is None:
        raise MissingParameter(
            f"type param(max_length) should be specified for the field({field.name}) "
            f"of collection {collection}"
        )
    good = isinstance(field.max_length, int)
    is_text = field.dtype is DataType.TEXT
    longest = limits.TEXT_MAX_LENGTH if is_text else limits.VARCHAR_BYTES
    if not good or not 0 < field.max_length <= longest:
        raise InvalidParameter(
            f"the maximum length specified for the field({field.name}) should be in "
            f"(0, {longest}], but got {field.max_length} instead"
        )


def _check_nullable(field: FieldSchema) -> None:
    if not field.nullable:
        return
    if field.is_primary:
        raise InvalidParameter(
            f"primary field not support null, type:{field.dtype.row.name}, "
            f"name:{field.name}"
        )


def _check_default_length(field: FieldSchema) -> None:
    if not isinstance(field.default, str) or field.max_length is None:
        return
    size = len(field.default.encode())
    if size > field.max_length:
        raise InvalidParameter(
            f"the length ({size}) of string exceeds max length ({field.max_length})",
            expected="valid length string",
            actual="string length exceeds max length",
        )


def _check_default(field: FieldSchema, zone: str) -> object:
    kind = field.dtype.row
    if field.is_primary:
        raise InvalidParameter(
            f"primary field not support default_value, type:{kind.name}, "
            f"name:{field.name}"
        )
    if not kind.can_default:
        raise InvalidParameter(
            f"type not support default_value, type:{kind.name}, name:{field.name}"
        )
    _check_default_length(field)
    if field.dtype is DataType.TIMESTAMPTZ:
        return encode_default(field, field.default, zone)
    if field.dtype.is_integer and isinstance(field.default, int):
        bounds = np.iinfo(kind.numpy)
        if not bounds.min <= field.default <= bounds.max:
            raise InvalidParameter.out_of_range(
                "default value out of range", field.default, bounds.min, bounds.max
            )
    try:
        return encode_default(field, field.default)
    except RequestError as error:
        if field.dtype is DataType.GEOMETRY:
            about = f"invalid default value for geometry field {field.name}"
            raise error.within(about) from error
        raise error.within(f"default value of field {field.name}") from error

"""Which schemas and names are allowed, with Milvus' texts for those that are not.

Pure: a schema in, the same schema with ids and ``$meta`` out, or an error.
"""

from __future__ import annotations

import re
from dataclasses import replace

from elanus.errors import (
    DatabaseNameInvalid,
    FieldNameInvalid,
    IllegalSchema,
    InvalidParameter,
    MissingParameter,
    RequestError,
    VectorClusteringKey,
)
from elanus.schema import limits
from elanus.schema.codecs import encode_default
from elanus.schema.schema import DYNAMIC_FIELD, CollectionSchema, FieldSchema
from elanus.schema.types import DataType

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
RESERVED_NAMES = frozenset({"RowID", "Timestamp", "__virtual_pk__"})
_KEYWORDS_LOWER = [
    "like",
    "exists",
    "and",
    "or",
    "not",
    "in",
    "json_contains",
    "json_contains_all",
    "json_contains_any",
    "array_contains",
    "array_contains_all",
    "array_contains_any",
    "array_length",
    "text_match",
    "phrase_match",
    "random_sample",
]
KEYWORDS = frozenset(
    [DYNAMIC_FIELD, "true", "True", "TRUE", "false", "False", "FALSE"]
    + _KEYWORDS_LOWER
    + [word.upper() for word in _KEYWORDS_LOWER]
)
_FIRST = re.compile(r"[A-Za-z_]")
_REST = re.compile(r"[A-Za-z0-9_]*\Z")
_INDEX_REST = re.compile(r"[A-Za-z0-9_\[\]]*\Z")
_PARTITION_FIRST = re.compile(r"[A-Za-z0-9_]")
_PARTITION_REST = re.compile(r"[A-Za-z0-9_-]*\Z")


def check_collection_name(name: object, what: str = "name") -> str:
    """The name, when it follows the rules.

    Raises:
        InvalidParameter: it is empty, too long, or holds other characters than letters,
            digits and underscores.
    """
    if not isinstance(name, str) or not name:
        raise InvalidParameter(f"collection {what} should not be empty")
    prefix = f"Invalid collection {what}: {name}."
    if len(name.encode()) > limits.NAME_BYTES:
        raise InvalidParameter(
            f"{prefix} the length of a collection {what} must be less than "
            f"{limits.NAME_BYTES} characters"
        )
    if not _FIRST.match(name):
        raise InvalidParameter(
            f"{prefix} the first character of a collection {what} must be an "
            f"underscore or letter"
        )
    if not _REST.match(name):
        raise InvalidParameter(
            f"{prefix} collection {what} can only contain numbers, letters and "
            f"underscores"
        )
    return name


def check_alias(alias: object) -> str:
    """The alias, when it follows the rules of collection names.

    Raises:
        InvalidParameter.
    """
    return check_collection_name(alias, "alias")


def check_database_name(name: str) -> None:
    """Raise unless a database name follows the rules of collection names.

    Raises:
        DatabaseNameInvalid: the message says which rule is broken.
    """
    if not name:
        raise DatabaseNameInvalid("database name couldn't be empty", name)
    if len(name.encode()) > limits.NAME_BYTES:
        raise DatabaseNameInvalid(
            f"the length of a database name must be less than {limits.NAME_BYTES} "
            f"characters",
            name,
        )
    if not _FIRST.match(name):
        raise DatabaseNameInvalid(
            "the first character of a database name must be an underscore or letter",
            name,
        )
    if not _REST.match(name):
        raise DatabaseNameInvalid(
            "database name can only contain numbers, letters and underscores", name
        )


def check_index_name(name: str) -> None:
    """Raise unless an index name follows the rules.

    Raises:
        InvalidParameter: the message says which rule is broken.
    """
    prefix = f"Invalid index name: {name}."
    if len(name.encode()) > limits.NAME_BYTES:
        raise InvalidParameter(
            f"{prefix} The length of a index name must be less than "
            f"{limits.NAME_BYTES} characters."
        )
    if not _FIRST.match(name):
        raise InvalidParameter(
            f"{prefix} The first character of a index name must be an underscore or "
            f"letter."
        )
    if not _INDEX_REST.match(name):
        raise InvalidParameter(
            f"{prefix} Index name can only contain numbers, letters, and underscores."
        )


def check_partition_name(name: object) -> str:
    """The trimmed name, when it follows the rules.

    Raises:
        InvalidParameter: it is empty, too long, or holds other characters.
    """
    text = name.strip() if isinstance(name, str) else ""
    prefix = f"Invalid partition name: {text}."
    if not text:
        raise InvalidParameter(f"{prefix} Partition name should not be empty.")
    if len(text.encode()) > limits.NAME_BYTES:
        raise InvalidParameter(
            f"{prefix} The length of a partition name must be less than "
            f"{limits.NAME_BYTES} characters."
        )
    if not _PARTITION_FIRST.match(text):
        raise InvalidParameter(
            f"{prefix} The first character of a partition name must be an underscore "
            f"or letter."
        )
    if not _PARTITION_REST.match(text):
        raise InvalidParameter(
            f"{prefix} Partition name can only contain numbers, letters and "
            f"underscores."
        )
    return text


def check_field_name(name: object) -> str:
    """The trimmed name, when it follows the rules.

    Raises:
        FieldNameInvalid: it is empty, too long, reserved, a keyword of the expression
            language, or holds other characters.
    """
    text = name.strip() if isinstance(name, str) else ""
    if not text:
        raise FieldNameInvalid("field name should not be empty", text)
    if text in RESERVED_NAMES:
        raise FieldNameInvalid(
            f'field name "{text}" is reserved for internal use and cannot be used in '
            f"user schemas",
            text,
        )
    prefix = f"Invalid field name: {text}."
    if len(text.encode()) > limits.NAME_BYTES:
        raise FieldNameInvalid(
            f"{prefix} The length of a field name must be less than "
            f"{limits.NAME_BYTES} characters.",
            text,
        )
    if text in KEYWORDS:
        raise FieldNameInvalid(f"{prefix} {text} is keyword in milvus.", text)
    if not _FIRST.match(text):
        raise FieldNameInvalid(
            f"{prefix} The first character of a field name must be an underscore or "
            f"letter.",
            text,
        )
    if not _REST.match(text):
        raise FieldNameInvalid(
            f"{prefix} Field name can only contain numbers, letters, and underscores.",
            text,
        )
    return text


def check_schema(
    schema: CollectionSchema, collection: str, *, dynamic: bool = False
) -> CollectionSchema:
    """The schema as it will be stored: names trimmed, ids given, ``$meta`` added.

    Raises:
        InvalidParameter, MissingParameter, FieldNameInvalid: the first rule broken, in
            Milvus' order.
    """
    fields = schema.with_ids().fields
    if len(fields) > limits.FIELDS:
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
    for f in fields:
        if f.name in RESERVED_NAMES:
            check_field_name(f.name)
    _check_primary(fields)
    _check_auto_id(fields)
    _check_partition_key(fields)
    _check_clustering_key(fields, collection)
    checked = tuple(_check_field(f, collection) for f in fields)
    names = [f.name for f in checked]
    for name in names:
        if names.count(name) > 1:
            raise InvalidParameter(f"duplicated field name {name} found")
    if dynamic:
        meta = FieldSchema(DYNAMIC_FIELD, DataType.JSON, nullable=True, is_dynamic=True)
        checked = (*checked, meta)
    return replace(schema, fields=checked).with_ids()


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
    if any(f.is_dynamic for f in fields):
        raise InvalidParameter("cannot explicitly set a field as a dynamic field")


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
    field: FieldSchema, schema: CollectionSchema, collection: str
) -> FieldSchema:
    """The field as it will be stored when it is added to a collection.

    Raises:
        InvalidParameter, MissingParameter, FieldNameInvalid: the first rule broken, in
            Milvus' order.
    """
    name = field.name
    if len(schema.visible) >= limits.FIELDS:
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
        if field.dim is None and not field.dtype.vector.is_sparse:
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
    checked = _check_field(field, collection)
    if checked.name in schema.by_name:
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
    if field.is_primary:
        raise InvalidParameter(f"cannot drop primary key field: {name}")
    if field.is_partition_key:
        raise InvalidParameter(f"cannot drop partition key field: {name}")
    if field.is_clustering_key:
        raise InvalidParameter(f"cannot drop clustering key field: {name}")
    if field.is_dynamic:
        raise InvalidParameter(
            f"cannot drop dynamic field: {name}, use AlterCollection to disable "
            f"dynamic schema instead"
        )
    if field.is_vector and len(schema.vectors) == 1:
        raise InvalidParameter(f"cannot drop the last vector field: {name}")


def _check_field(field: FieldSchema, collection: str) -> FieldSchema:
    field = replace(field, name=check_field_name(field.name))
    if field.is_vector:
        _check_dim(field)
    elif field.dim is not None:
        raise InvalidParameter(f"dim is not allowed on field {field.name}")
    if field.dtype is DataType.ARRAY:
        _check_array(field, collection)
    is_limited = field.dtype is DataType.TEXT and field.max_length is not None
    if is_limited or DataType.VARCHAR in (field.dtype, field.element_type):
        _check_max_length(field, collection)
    _check_nullable(field)
    if field.default is not None:
        field = replace(field, default=_check_default(field))
    return field


def _check_dim(field: FieldSchema) -> None:
    vector = field.dtype.vector
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
    span = f"should be in range {limits.DIM_MIN} ~ {vector.dim_max}"
    if field.dim < limits.DIM_MIN:
        raise InvalidParameter(f"invalid dimension: {field.dim}. {span}")
    about = f"invalid dimension: {field.dim} of field {field.name}."
    kind = "binary" if vector.dims_per_value > 1 else "float"
    if field.dim % vector.dims_per_value:
        raise InvalidParameter(
            f"{about} {kind} vector dimension should be multiple of "
            f"{vector.dims_per_value}."
        )
    if field.dim > vector.dim_max:
        raise InvalidParameter(f"{about} {kind} vector dimension {span}")


def _check_array(field: FieldSchema, collection: str) -> None:
    element = field.element_type
    if element is None:
        raise InvalidParameter("element data type None is not valid")
    if not element.row.can_be_element:
        raise InvalidParameter(f"element type {element.row.name} is not supported")
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


def _check_default(field: FieldSchema) -> object:
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
    try:
        return encode_default(field, field.default)
    except RequestError as error:
        if field.dtype is DataType.GEOMETRY:
            raise InvalidParameter(
                f"invalid default value for geometry field {field.name}: {error}"
            ) from error
        raise InvalidParameter(
            f"default value of field {field.name} is illegal: {error}"
        ) from error

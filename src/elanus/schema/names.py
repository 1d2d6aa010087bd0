"""Which names are allowed, with Milvus' texts for those that are not."""

from __future__ import annotations

import re

from elanus.errors import (
    DatabaseNameInvalid,
    FieldNameInvalid,
    InvalidParameter,
    MissingParameter,
)
from elanus.schema import limits
from elanus.schema.schema import DYNAMIC_FIELD

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


def check_resource_group_name(name: str) -> None:
    """Raise unless a resource group can have this name.

    Raises:
        MissingParameter, InvalidParameter.
    """
    if not name:
        raise MissingParameter("resource group name couldn't be empty")
    prefix = f"Invalid resource group name {name}."
    if len(name.encode()) > limits.NAME_BYTES:
        raise InvalidParameter(
            f"{prefix} the length of a resource group name must be less than "
            f"{limits.NAME_BYTES} characters"
        )
    if not _FIRST.match(name):
        raise InvalidParameter(
            f"{prefix} the first character of a resource group name must be an "
            f"underscore or letter"
        )
    if not _REST.match(name):
        raise InvalidParameter(
            f"{prefix} resource group name can only contain numbers, letters and "
            f"underscores"
        )


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

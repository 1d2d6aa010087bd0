"""Which layout an index gets, by its kind and its field; and opening what was written.

A layout goes by the values: kinds of Milvus that keep values with their rows (INVERTED,
BITMAP, STL_SORT, Trie, AUTOINDEX) differ in nothing that a filter could tell, and few
values get bitmaps whatever the kind is called. A new layout is its file, a line in
:func:`_build` and one in the table of openers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from elanus.errors import CorruptionError
from elanus.index.scalar.base import Built, Parts, ScalarBuild, ScalarIndex
from elanus.index.scalar.elements import ElementIndex, element_parts
from elanus.index.scalar.json_path import Cast, JsonIndex, cast_of, json_parts
from elanus.index.scalar.ngrams import NgramIndex, lengths_of, ngram_parts
from elanus.index.scalar.rtree import RTree, rtree_parts
from elanus.index.scalar.values import ValueIndex, value_parts
from elanus.schema.types import DataType

NOTHING: Final = "none"
"""The layout of rows that no layout would serve: they are scanned."""

_NGRAM: Final = "NGRAM"


@dataclass(frozen=True)
class ScalarMeta:
    """Everything about a built index beside its file; plain JSON values.

    Attributes:
        layout: how its parts are read.
        rows: of the segment.
        units: what postings count: rows, or the elements of arrays.
        path: of a JSON field, the keys on the way into its documents.
        options: what else the layout must know.
    """

    layout: str
    rows: int
    units: int
    path: tuple[str, ...] | None = None
    options: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The durable form: plain JSON values."""
        return {
            "layout": self.layout,
            "rows": self.rows,
            "units": self.units,
            "path": None if self.path is None else list(self.path),
            "options": dict(self.options or {}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ScalarMeta:
        """The inverse of :meth:`to_dict`."""
        path = data["path"]
        return cls(
            data["layout"],
            data["rows"],
            data["units"],
            None if path is None else tuple(path),
            data["options"],
        )


def build_scalar(request: ScalarBuild) -> tuple[ScalarMeta, Parts]:
    """Build the index that suits a field and a kind.

    Raises:
        Cancelled: the caller stopped the build.
    """
    request.step(0.0)
    built, options = _build(request)
    request.step(0.9)
    n_rows = len(request.column)
    path = request.path if request.field.dtype is DataType.JSON else None
    units = options.pop("units", n_rows)
    meta = ScalarMeta(built.layout, n_rows, units, path, options)
    return meta, built.parts


def _build(request: ScalarBuild) -> tuple[Built, dict[str, Any]]:
    dtype = request.field.dtype
    is_json = dtype is DataType.JSON
    if request.kind == _NGRAM:
        lengths = lengths_of(request.params)
        parts = ngram_parts(request, lengths, is_json=is_json)
        return _or_nothing("ngrams", parts), {"lengths": list(lengths)}
    if is_json:
        cast = cast_of(str(request.params["json_cast_type"]))
        if cast is None:
            return Built(NOTHING, {}), {}
        kind, is_array = cast
        parts = json_parts(request, kind, is_array=is_array)
        return Built("json", parts), {"cast": kind.value, "is_array": is_array}
    if dtype is DataType.GEOMETRY:
        return Built("rtree", rtree_parts(request.column)), {}
    if dtype is DataType.ARRAY:
        found = element_parts(request.column)
        if found is None:
            return Built(NOTHING, {}), {}
        return Built("elements", found[0]), {"units": found[1]}
    return _or_nothing("values", value_parts(request.column)), {}


def _or_nothing(layout: str, parts: Parts | None) -> Built:
    return Built(NOTHING, {}) if parts is None else Built(layout, parts)


def open_scalar(meta: ScalarMeta, parts: Parts, name: str) -> ScalarIndex:
    """The index that some parts are.

    Args:
        name: of the file, for errors.

    Raises:
        CorruptionError: the parts are not those of the layout.
    """
    try:
        return _OPENERS[meta.layout](meta, parts)
    except (KeyError, ValueError, IndexError) as error:
        raise CorruptionError(name, f"is no index as described: {error!r}") from error


def _open_json(meta: ScalarMeta, parts: Parts) -> ScalarIndex:
    options = meta.options or {}
    return JsonIndex(
        parts,
        meta.rows,
        meta.path or (),
        Cast(options["cast"]),
        is_array=options["is_array"],
    )


def _open_ngrams(meta: ScalarMeta, parts: Parts) -> ScalarIndex:
    shortest, longest = (meta.options or {})["lengths"]
    return NgramIndex(parts, meta.rows, (shortest, longest), meta.path)


_OPENERS: dict[str, Callable[[ScalarMeta, Parts], ScalarIndex]] = {
    "values": lambda meta, parts: ValueIndex(parts, meta.rows),
    "elements": lambda meta, parts: ElementIndex(parts, meta.rows, meta.units),
    "json": _open_json,
    "ngrams": _open_ngrams,
    "rtree": lambda meta, parts: RTree(parts, meta.rows),
}

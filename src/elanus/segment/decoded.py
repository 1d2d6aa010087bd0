"""What filters have decoded of a segment's columns, kept for the next.

JSON, boxes of geometries, tokens of texts.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

import pyarrow as pa

from elanus.expr.boxes import Boxes, boxes_of
from elanus.expr.jsonpath import PathColumn, extract
from elanus.schema.schema import FieldSchema
from elanus.text.fields import analyzer_of
from elanus.text.postings import Postings, ReadPostings

CACHE_BYTES = 64 << 20
ROW_BYTES = 40  # kind, two numbers, a string and its offset, roughly

Key = tuple[int, tuple[str | int, ...]]


class DecodedPaths:
    """Values at JSON paths. Least recently used paths go first.

    Safe to share among threads.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[Key, tuple[int, PathColumn]] = OrderedDict()
        self._lock = threading.Lock()

    def has(self, key: Key) -> bool:
        """Whether the values at a path are known, perhaps of fewer rows."""
        return key in self._known

    def get(self, key: Key, n_rows: int, column: Callable[[], pa.Array]) -> PathColumn:
        """The values at a path of the first ``n_rows`` rows.

        Args:
            key: field id and path.
            column: gives the JSON column; called when the path is not known.
        """
        with self._lock:
            known = self._known.get(key)
            if known is not None and known[0] == n_rows:
                self._known.move_to_end(key)
                return known[1]
        decoded = extract(column(), key[1])
        with self._lock:
            self._known[key] = (n_rows, decoded)
            self._known.move_to_end(key)
            most = max(1, CACHE_BYTES // (ROW_BYTES * max(1, n_rows)))
            while len(self._known) > most:
                self._known.popitem(last=False)
        return decoded


class DecodedBoxes:
    """Boxes of geometries by field; they take little beside the geometries themselves.

    Safe to share among threads: rows only ever come behind those that are known.
    """

    def __init__(self) -> None:
        self._known: dict[int, Boxes] = {}

    def get(self, field_id: int, column: pa.Array) -> Boxes:
        """The boxes of a column, which may be longer or shorter than the last time."""
        known = self._known.get(field_id)
        if known is None:
            known = self._known[field_id] = boxes_of(column)
        elif len(known) < len(column):
            known = known.and_then(boxes_of(column.slice(len(known))))
            self._known[field_id] = known
        return known.first(len(column))


class DecodedTexts:
    """Tokens of texts by field, once a filter has asked for them.

    Safe to share among threads: rows only ever come behind those that are known.
    """

    def __init__(self) -> None:
        self._known: dict[int, Postings] = {}
        self._lock = threading.Lock()

    def get(self, field: FieldSchema, column: pa.Array) -> ReadPostings:
        """The tokens of a column, which may be longer or shorter than the last time.

        Raises:
            UnsupportedOperation: a library of the field's analyzer is not installed.
        """
        with self._lock:
            known = self._known.get(field.id)
            if known is None:
                known = self._known[field.id] = Postings(analyzer_of(field))
        return known.upto(column)

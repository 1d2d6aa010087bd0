"""The BM25 function: how often each token is in a text, as sparse vectors.

Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond"
(2009), section 3. What is stored is the frequencies alone; what depends on the other
texts of a collection is worked out when a search comes, from the rows it sees.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa

from elanus.errors import InvalidParameter
from elanus.schema.columns import Column
from elanus.schema.functions import FunctionKind, FunctionSchema
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.sparse import SparseRows
from elanus.schema.vectors import VectorColumn
from elanus.text.analyzer import Analyzer, token_hash
from elanus.text.fields import analyzer_of, analyzers_of

_hash = lru_cache(maxsize=1 << 17)(token_hash)


def function_of(schema: CollectionSchema, field: FieldSchema) -> FunctionSchema | None:
    """The BM25 function that makes a field; ``None`` if none does."""
    return next(
        (
            function
            for function in schema.functions
            if function.kind == FunctionKind.BM25 and field.name in function.outputs
        ),
        None,
    )


def outputs(
    schema: CollectionSchema, columns: Mapping[int, Column], n_rows: int
) -> dict[int, Column]:
    """What the functions of a schema make of complete columns, by field id.

    Raises:
        UnsupportedOperation: a library of an analyzer is not installed.
    """
    made: dict[int, Column] = {}
    for function in schema.functions:
        texts = schema.by_name[function.inputs[0]]
        column = columns[texts.id]
        assert isinstance(column, pa.Array)
        analyzers = _analyzers(schema, texts, columns, n_rows)
        rows = frequencies(column.to_pylist(), analyzers)
        made[schema.by_name[function.outputs[0]].id] = VectorColumn(rows)
    return made


def _analyzers(
    schema: CollectionSchema,
    texts: FieldSchema,
    columns: Mapping[int, Column],
    n_rows: int,
) -> Iterable[Analyzer]:
    """The analyzer of each row."""
    several = analyzers_of(texts)
    if several is None:
        return [analyzer_of(texts)] * n_rows
    names = columns[schema.by_name[several.field].id]
    assert isinstance(names, pa.Array)
    return map(several.named, names.to_pylist())


def frequencies(
    texts: Sequence[str | None], analyzers: Iterable[Analyzer]
) -> SparseRows:
    """How often each token is in each text: its hash is the dimension.

    A text without tokens, and no text, is a vector without entries.
    """
    lengths: list[int] = []
    indices: list[int] = []
    values: list[int] = []
    for text, analyzer in zip(texts, analyzers, strict=True):
        counts = Counter(map(_hash, analyzer.words(text) if text else ()))
        lengths.append(len(counts))
        for index in sorted(counts):
            indices.append(index)
            values.append(counts[index])
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    return SparseRows(ends, np.array(indices, np.uint32), np.array(values, np.float32))


def asked_frequencies(
    schema: CollectionSchema,
    function: FunctionSchema,
    texts: Sequence[bytes],
    analyzer_name: str,
) -> SparseRows:
    """The same of the texts of a search.

    Args:
        analyzer_name: which of several analyzers; the default if empty.

    Raises:
        InvalidParameter: a text is not UTF-8.
    """
    field = schema.by_name[function.inputs[0]]
    several = analyzers_of(field)
    analyzer = (
        analyzer_of(field) if several is None else several.named(analyzer_name or None)
    )
    try:
        decoded = [text.decode() for text in texts]
    except UnicodeDecodeError as error:
        raise InvalidParameter(f"string data must be utf8 format: {error}") from error
    return frequencies(decoded, [analyzer] * len(decoded))

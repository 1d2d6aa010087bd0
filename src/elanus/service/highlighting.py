"""Highlighters of searches: which words of which fields are marked, with Milvus' texts.

What matches is found with the analyzer of the field. Words that a search itself asks
for are marked in the field whose words it compares, which searches by BM25 do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from elanus.distance.metrics import Metric
from elanus.engine.definition import CollectionDefinition
from elanus.engine.read.plan import vector_field
from elanus.engine.read.search import SearchHits
from elanus.engine.version import gather
from elanus.errors import InvalidParameter, UnsupportedOperation
from elanus.functions.bm25 import function_of
from elanus.functions.highlight import Span, Style, fragments
from elanus.schema.schema import FieldSchema
from elanus.service.loaded_fields import check_searched_loaded
from elanus.service.replies import Highlight
from elanus.service.request_functions import Highlighter
from elanus.service.requests import Queries, Search
from elanus.text.analyzer import Analyzer
from elanus.text.fields import analyzer_of, analyzers_of, is_analyzed

LEXICAL = 0
_QUERY_TYPE = "TextMatch"


@dataclass(frozen=True, slots=True)
class Marked:
    """One field whose texts are shown.

    Attributes:
        texts: whose words are marked, in the answers to every query.
        is_searched: whether those of the queries are marked, too.
        by_query: texts of the queries, whose words are marked in their own answers.
        chooser: the field that says by which analyzer a text is cut; ``None`` for one.
    """

    field: FieldSchema
    texts: tuple[str, ...] = ()
    is_searched: bool = False
    by_query: tuple[str, ...] = ()
    chooser: FieldSchema | None = None

    def analyzer(self, name: str | None) -> Analyzer:
        """What cuts texts, and by the choice of a row where there are several."""
        several = analyzers_of(self.field)
        return analyzer_of(self.field) if several is None else several.named(name)


@dataclass(frozen=True, slots=True)
class Highlighting:
    """What is marked in the answer to a search, and how."""

    style: Style
    fields: tuple[Marked, ...]

    def for_queries(self, queries: Queries | None) -> Highlighting:
        """The same for a search with these queries."""
        sent = () if queries is None else queries.raw
        texts = tuple(text.decode(errors="replace") for text in sent)
        fields = tuple(
            replace(marked, by_query=texts) if marked.is_searched else marked
            for marked in self.fields
        )
        return replace(self, fields=fields)

    def of(self, hits: SearchHits) -> tuple[Highlight, ...]:
        """The fragments of every hit, field by field.

        Raises:
            CorruptionError: a column file is damaged; the message names it.
            UnsupportedOperation: an analyzer needs a library that is not installed.
        """
        query = np.repeat(np.arange(len(hits.counts)), hits.counts).tolist()
        return tuple(
            Highlight(marked.field.name, self._fragments(marked, hits, query))
            for marked in self.fields
        )

    def _fragments(
        self, marked: Marked, hits: SearchHits, query: Sequence[int]
    ) -> tuple[tuple[str, ...], ...]:
        texts = _values(hits, marked.field)
        names = _values(hits, marked.chooser) if marked.chooser else [None] * len(texts)
        words = _Words(marked)
        return tuple(
            ()
            if text is None
            else tuple(fragments(text, words.spans(text, name, asked), self.style))
            for text, name, asked in zip(texts, names, query, strict=True)
        )


class _Words:
    """The words that are marked, found once for each analyzer and query."""

    def __init__(self, marked: Marked) -> None:
        self._marked = marked
        self._known: dict[tuple[str | None, int], frozenset[str]] = {}

    def spans(self, text: str, name: str | None, query: int) -> list[Span]:
        """Where such words stand in a text."""
        analyzer = self._marked.analyzer(name)
        if not self._marked.by_query:
            query = 0
        wanted = self._known.get((name, query))
        if wanted is None:
            asked = [*self._marked.texts, *self._marked.by_query[query : query + 1]]
            wanted = frozenset(word for one in asked for word in analyzer.words(one))
            self._known[name, query] = wanted
        return [(t.start, t.end) for t in analyzer.tokens(text) if t.text in wanted]


def highlighting_of(
    definition: CollectionDefinition, request: Search
) -> Highlighting | None:
    """What a search wants marked; ``None`` for nothing.

    Raises:
        InvalidParameter: with Milvus' text.
        UnsupportedOperation: Milvus has it, Elanus has not.
    """
    given = request.highlighter
    if given is None:
        return None
    if given.type_number != LEXICAL:
        raise UnsupportedOperation("semantic highlighter in a search")
    if request.options.iterator is not None:
        raise InvalidParameter(
            "highlighter is not supported when using search iterator"
        )
    style = _style(given.params)
    by_name: dict[str, list[str]] = {}
    for name, text in _queries(given):
        by_name.setdefault(name, []).append(text)
    searched = ""
    if given.params.get("highlight_search_text", "false").lower() == "true":
        searched = _searched(definition, request)
        by_name.setdefault(searched, [])
    if not by_name:
        raise InvalidParameter("highlight_search_text or highlight_query is required")
    fields = (
        replace(_marked(definition, name, tuple(texts)), is_searched=name == searched)
        for name, texts in by_name.items()
    )
    return Highlighting(style, tuple(fields))


def _searched(definition: CollectionDefinition, request: Search) -> str:
    """The field whose words a search compares.

    Raises:
        InvalidParameter: it compares none.
    """
    options = request.options
    field = vector_field(definition.schema, options.anns_field)
    metric = options.metric_type or definition.metric_of(field)
    if metric.upper() != Metric.BM25:
        # the name of the other metric is missing in Milvus' text, too
        raise InvalidParameter(
            'Search highlight only support with metric type "BM25" but was: '
        )
    function = function_of(definition.schema, field)
    if function is None:
        raise InvalidParameter(
            "service internal error: Search with highlight failed, input field of "
            "BM25 annsField not found"
        )
    return function.inputs[0]


def _style(params: Mapping[str, str]) -> Style:
    usual = Style()
    return Style(
        _tags(params, "pre_tags", usual.pre_tags),
        _tags(params, "post_tags", usual.post_tags),
        _number(params, "fragment_offset", usual.offset, 0),
        _number(params, "fragment_size", usual.size, 1),
        _number(params, "num_of_fragments", usual.most, 0),
    )


def _tags(
    params: Mapping[str, str], name: str, usual: tuple[str, ...]
) -> tuple[str, ...]:
    if name not in params:
        return usual
    tags = _json(params[name])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise InvalidParameter(f"unmarshal {name} as string list failed")
    if not tags:
        raise InvalidParameter(f"{name} cannot be empty list")
    return tuple(tags)


def _number(params: Mapping[str, str], name: str, usual: int, least: int) -> int:
    text = params.get(name, str(usual))
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise InvalidParameter(f"invalid {name}: {text}")
    return value


def _queries(given: Highlighter) -> list[tuple[str, str]]:
    """Names of fields, and the texts whose words are marked in them."""
    if "highlight_query" not in given.params:
        return []
    queries = _json(given.params["highlight_query"])
    if not isinstance(queries, list) or not all(isinstance(q, dict) for q in queries):
        raise InvalidParameter("unmarshal highlight queries failed")
    found = []
    for query in queries:
        kind, name, text = (query.get(key) for key in ("type", "field", "text"))
        if kind != _QUERY_TYPE:
            raise InvalidParameter(f"unsupported highlight query type: {kind}")
        if not isinstance(name, str) or not isinstance(text, str):
            raise InvalidParameter("highlight query needs the texts field and text")
        found.append((name, text))
    return found


def _marked(
    definition: CollectionDefinition, name: str, texts: tuple[str, ...]
) -> Marked:
    schema = definition.schema
    field = schema.by_name.get(name)
    if field is None:
        raise InvalidParameter(f"highlight field {name} not found in collection schema")
    if not is_analyzed(field):
        raise InvalidParameter(
            f"highlight field {name} must be VarChar or Text with enable_analyzer"
        )
    check_searched_loaded(definition, field)
    several = analyzers_of(field)
    chooser = None if several is None else schema.by_name[several.field]
    return Marked(field, texts, chooser=chooser)


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return None


def _values(hits: SearchHits, field: FieldSchema) -> list[str | None]:
    if not len(hits.offsets):
        return []
    column = gather(hits.version.views, hits.parts, hits.offsets, field.id)
    assert isinstance(column, pa.Array)
    texts: list[str | None] = column.to_pylist()
    return texts

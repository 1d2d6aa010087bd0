"""Operations on analyzers: what they make of texts."""

from __future__ import annotations

from itertools import accumulate, repeat

import numpy as np

from elanus.errors import FieldNotFound, InvalidParameter
from elanus.service.collections import need_loaded
from elanus.service.core import Core
from elanus.service.replies_text import AnalyzedTexts, AnalyzedToken, PhraseSlops
from elanus.service.requests_text import ComputePhraseMatchSlop, RunAnalyzer
from elanus.text.analyzer import Analyzer, token_hash
from elanus.text.config import analyzer_from
from elanus.text.fields import analyzer_of, analyzers_of, is_analyzed
from elanus.text.match import least_slop


def run_analyzer(core: Core, request: RunAnalyzer) -> AnalyzedTexts:
    """The tokens of texts.

    Raises:
        InvalidParameter: the request contradicts itself, describes no analyzer, or a
            text is not UTF-8.
        CollectionNotFound, CollectionNotLoaded, FieldNotFound.
        UnsupportedOperation: a library that is needed is not installed.
    """
    if request.collection:
        analyzers = _of_field(core, request)
    else:
        analyzers = [analyzer_from(request.description)] * len(request.texts)
    return AnalyzedTexts(
        tuple(
            _analyzed(request, analyzer, content)
            for analyzer, content in zip(analyzers, request.texts, strict=True)
        )
    )


def _of_field(core: Core, request: RunAnalyzer) -> list[Analyzer]:
    """The analyzer of each text."""
    if request.description:
        raise InvalidParameter(
            "run analyzer can't use analyzer params and (collection,field) in same time"
        )
    if not request.field:
        raise InvalidParameter("must set field name when collection name was set")
    names, count = request.analyzers, len(request.texts)
    if len(names) > 1 and len(names) != count:
        raise InvalidParameter(
            f"only support set one analyzer name for all text or set analyzer name for "
            f"each text, but now analzer name num: {len(names)}, text num: {count}"
        )
    definition = core.collection(request).definition
    need_loaded(definition, [])
    field = definition.schema.by_name.get(request.field)
    if field is None:
        raise FieldNotFound(request.field)
    if not is_analyzed(field):
        raise InvalidParameter(f"field {field.name} does not enable analyzer")
    several = analyzers_of(field)
    if several is None:
        return [analyzer_of(field)] * count
    chosen = (
        names if len(names) == count else repeat(names[0] if names else None, count)
    )
    return [several.named(name) for name in chosen]


def _analyzed(
    request: RunAnalyzer, analyzer: Analyzer, content: bytes
) -> tuple[AnalyzedToken, ...]:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise InvalidParameter(f"string data must be utf8 format: {error}") from error
    if not request.has_detail and not request.has_hash:
        return tuple(map(AnalyzedToken, analyzer.words(text)))
    bytes_before = [0, *accumulate(len(character.encode()) for character in text)]
    return tuple(
        AnalyzedToken(
            token.text,
            bytes_before[token.start],
            bytes_before[token.end],
            token.position,
            token.length,
            token_hash(token.text),
        )
        for token in analyzer.tokens(text)
    )


def compute_slops(core: Core, request: ComputePhraseMatchSlop) -> PhraseSlops:
    """The least slop with which each text holds a phrase; ``None`` if it lacks a word.

    Raises:
        InvalidParameter: the analyzer cannot be, or cuts nothing from the phrase.
        UnsupportedOperation: a library that is needed is not installed.
    """
    analyzer = analyzer_from(request.description)
    tokens, offsets = analyzer.placed(request.phrase)
    if not tokens:
        raise InvalidParameter("the query text has no token")
    terms = list(zip(tokens, offsets, strict=True))
    slops = []
    for text in request.texts:
        words, positions = analyzer.placed(text)
        places: dict[str, list[int]] = {}
        for word, position in zip(words, positions, strict=True):
            places.setdefault(word, []).append(position)
        aligned = [
            np.array(places.get(token, ()), np.int32) - np.int32(offset)
            for token, offset in terms
        ]
        slops.append(least_slop(aligned) if all(map(len, aligned)) else None)
    return PhraseSlops(tuple(slops))

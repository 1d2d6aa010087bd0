"""Operations on analyzers: what they make of texts."""

from __future__ import annotations

from itertools import accumulate, repeat

from elanus.errors import FieldNotFound, InvalidParameter
from elanus.service.collections import need_loaded
from elanus.service.core import Core
from elanus.service.replies_text import AnalyzedTexts, AnalyzedToken
from elanus.service.requests_text import RunAnalyzer
from elanus.text.analyzer import Analyzer, token_hash
from elanus.text.config import analyzer_from
from elanus.text.fields import analyzer_of, analyzers_of, is_analyzed


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

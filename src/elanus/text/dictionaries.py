"""Filters of tokens by lists of words: stop words, stems, compounds, folded letters.

Stems, European stop words, folding and compounds are tantivy's, which Milvus uses, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from elanus.errors import InvalidParameter, UnsupportedOperation
from elanus.text.analyzer import Filter

# Languages with a list of stop words in tantivy, and those that it only stems.
_LISTS = (
    *("danish", "dutch", "english", "finnish", "french", "german", "hungarian"),
    *("italian", "norwegian", "portuguese", "russian", "spanish", "swedish"),
)
_STEMMED = (*_LISTS, "arabic", "greek", "romanian", "tamil", "turkish")
# Languages whose list another library has, by its codes.
_ISO_LISTS = {"arabic": "ar", "chinese": "zh", "thai": "th"}


def _tantivy(name: str, *arguments: Any) -> Filter:
    """One of tantivy's filters, by itself."""
    import tantivy

    chosen = getattr(tantivy.Filter, name)(*arguments)
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).filter(chosen)
    analyze: Callable[[str], list[str]] = builder.build().analyze
    return analyze


def asciifolding() -> Filter:
    """Letters with marks as the letters of ASCII without."""
    fold = _tantivy("ascii_fold")
    return lambda word: (word,) if word.isascii() else fold(word)


def stemmer(parameters: dict[str, Any]) -> Filter:
    """Words cut down to their stems, by the rules of one language.

    Raises:
        InvalidParameter: no language, or one without rules.
    """
    language = parameters.get("language")
    if not isinstance(language, str):
        raise InvalidParameter("stemmer language field should be string")
    if language.lower() not in _STEMMED:
        raise InvalidParameter(
            f"create stemmer failed : unsupport language: {language.lower()}"
        )
    return _tantivy("stemmer", language.lower())


def words_option(parameters: dict[str, Any], key: str, label: str) -> list[str]:
    """A list of words among parameters.

    Raises:
        InvalidParameter: it is no list of texts.
        UnsupportedOperation: the words are to come from a file.
    """
    if f"{label}_file" in parameters:
        raise UnsupportedOperation(f"{label}_file of an analyzer")
    words = parameters.get(key, [])
    if not isinstance(words, list):
        raise InvalidParameter(f"{label} should be array")
    if not all(isinstance(word, str) for word in words):
        raise InvalidParameter(f"{label} list item should be string")
    return words


def stop(words: list[str]) -> Filter:
    """Without some words; ``_english_`` and its like stand for lists.

    Words that look like a list and are none are words.
    """
    literal = set()
    lists = []
    for word in words:
        name = word[1:-1] if word.startswith("_") and word.endswith("_") else ""
        if name in _LISTS:
            lists.append(_tantivy("stopword", name))
        elif name in _ISO_LISTS:
            import stopwordsiso

            literal |= stopwordsiso.stopwords(_ISO_LISTS[name])
        else:
            literal.add(word)

    def kept(word: str) -> Sequence[str]:
        if word in literal or any(not keeps(word) for keeps in lists):
            return ()
        return (word,)

    return kept


def stop_filter(parameters: dict[str, Any]) -> Filter:
    """Without the words of ``stop_words``.

    Raises:
        InvalidParameter, UnsupportedOperation.
    """
    return stop(words_option(parameters, "stop_words", "stop_words"))


def decompounder(parameters: dict[str, Any]) -> Filter:
    """Compounds of the listed words as these words; others stay whole.

    Raises:
        InvalidParameter, UnsupportedOperation.
    """
    words = words_option(parameters, "word_list", "word_list")
    if "word_list" not in parameters:
        raise InvalidParameter("decompounder word list should be array")
    split = _tantivy("split_compound", [word for word in words if word])
    return lambda word: split(word) if word else (word,)

"""Tokenizers that know a language: Chinese, Thai, Japanese, Korean, and ICU's."""

from __future__ import annotations

from functools import cache
from typing import Any

from elanus.errors import InvalidParameter, UnsupportedOperation
from elanus.text.analyzer import Token
from elanus.text.optional import library
from elanus.text.tokenizers import characters_of_utf16

# --- Chinese -----------------------------------------------------------------------

_DEFAULT_DICTIONARY = "_default_"
_LARGE_DICTIONARY = "_extend_default_"
_MODES = {"search": "search", "exact": "default"}


class JiebaTokenizer:
    """Chinese words, as jieba cuts them; positions are characters.

    In the mode of searches long words come with the words in them.
    """

    counts = False

    def __init__(self, dictionary: Any, mode: str, is_guessing: bool) -> None:
        self._dictionary = dictionary
        self._mode = mode
        self._is_guessing = is_guessing

    def words(self, text: str) -> list[str]:
        """The texts of the tokens."""
        return [word for word, _, _ in self._cut(text)]

    def tokens(self, text: str) -> list[Token]:
        """The tokens with their places."""
        return [Token(word, a, b, a, b - a) for word, a, b in self._cut(text)]

    def _cut(self, text: str) -> list[tuple[str, int, int]]:
        found: list[tuple[str, int, int]] = self._dictionary.tokenize(
            text, self._mode, self._is_guessing
        )
        return found


def jieba(parameters: dict[str, Any]) -> JiebaTokenizer:
    """The tokenizer of Chinese, with its dictionary and mode.

    Raises:
        InvalidParameter: an option is none.
        UnsupportedOperation: a dictionary that is not part of the library.
    """
    words, has_default = _dictionary_option(parameters)
    mode = parameters.get("mode", "search")
    if not isinstance(mode, str):
        raise InvalidParameter("jieba tokenizer mode must be string")
    if mode not in _MODES:
        raise InvalidParameter('jieba tokenizer mode must be "exact" or "search"')
    is_guessing = parameters.get("hmm", True)
    if not isinstance(is_guessing, bool):
        raise InvalidParameter("jieba tokenizer mode must be boolean")
    if "extra_dict_file" in parameters:
        raise UnsupportedOperation("extra_dict_file of jieba tokenizer")
    dictionary = _dictionary(tuple(words), has_default)
    return JiebaTokenizer(dictionary, _MODES[mode], is_guessing)


def _dictionary_option(parameters: dict[str, Any]) -> tuple[list[str], bool]:
    """The words of one's own, and whether the default dictionary is below them."""
    if "dict" not in parameters:
        return [], True
    entries = parameters["dict"]
    if not isinstance(entries, list):
        raise InvalidParameter("jieba tokenizer dict must be array")
    if not all(isinstance(entry, str) for entry in entries):
        raise InvalidParameter("jieba tokenizer dict item must be string")
    if _LARGE_DICTIONARY in entries:
        raise UnsupportedOperation(f"jieba dictionary {_LARGE_DICTIONARY}")
    words = [entry for entry in entries if entry and entry != _DEFAULT_DICTIONARY]
    return words, _DEFAULT_DICTIONARY in entries


def _jieba() -> Any:
    import rjieba

    return rjieba


@cache
def _default_dictionary() -> Any:
    return _jieba().Jieba()


def _dictionary(words: tuple[str, ...], has_default: bool) -> Any:
    if has_default and not words:
        return _default_dictionary()
    made = _jieba().Jieba
    dictionary = made() if has_default else made.empty()
    for word in words:
        dictionary.add_word(word, dictionary.suggest_freq(word), "")
    return dictionary


# --- every script ------------------------------------------------------------------


class IcuTokenizer:
    """Everything between two word boundaries of Unicode; positions are characters."""

    counts = False

    def __init__(self, locale: str, *, keeps_all: bool) -> None:
        breakers = library("icu4py.breakers", "the icu tokenizer")
        self._breaker = breakers.WordBreaker
        self._locale = locale
        self._keeps_all = keeps_all

    def words(self, text: str) -> list[str]:
        """The texts of the tokens."""
        return [token.text for token in self.tokens(text)]

    def tokens(self, text: str) -> list[Token]:
        """The tokens with their places."""
        if not text:
            return []
        # a lone surrogate is no character to ICU, nor can it come over the wire
        segments = self._breaker(text, self._locale).segments()
        ends = characters_of_utf16(text, [end for _, end in segments])
        found = []
        start = 0
        for end in ends:
            word = text[start:end]
            if self._keeps_all or any(map(str.isalnum, word)):
                found.append(Token(word, start, end, start, end - start))
            start = end
        return found


def icu() -> IcuTokenizer:
    """Words, blanks and signs of any script.

    Raises:
        UnsupportedOperation: the library is not installed.
    """
    return IcuTokenizer("root", keeps_all=True)


def thai() -> IcuTokenizer:
    """Thai words, without blanks and signs.

    Raises:
        UnsupportedOperation: the library is not installed.
    """
    return IcuTokenizer("th", keeps_all=False)


# --- Japanese and Korean -----------------------------------------------------------

_LINDERA_DICTIONARIES = ("ipadic", "ipadic-neologd", "unidic", "ko-dic", "cc-cedict")
# Where a filter looks for the tag of a token, and whether tags found are kept.
_LINDERA_FILTERS = {
    "japanese_stop_tags": (4, False),
    "japanese_keep_tags": (4, True),
    "korean_stop_tags": (1, False),
    "korean_keep_tags": (1, True),
}


class LinderaTokenizer:
    """Words by morphology, some kept or dropped by their part of speech."""

    counts = False

    def __init__(
        self, tokenizer: Any, filters: list[tuple[int, bool, frozenset[str]]]
    ) -> None:
        self._tokenizer = tokenizer
        self._filters = filters

    def words(self, text: str) -> list[str]:
        """The texts of the tokens."""
        return [token.text for token in self.tokens(text)]

    def tokens(self, text: str) -> list[Token]:
        """The tokens with their places; positions count the words."""
        raw = text.encode()
        found = []
        start = 0
        at_byte = 0
        for word in self._tokenizer.tokenize(text):
            start += len(raw[at_byte : word.byte_start].decode())
            end = start + len(word.surface)
            at_byte = word.byte_end
            if all(self._passes(word.details, one) for one in self._filters):
                found.append(Token(word.surface, start, end, word.position))
            start = end
        return found

    @staticmethod
    def _passes(details: list[str], filter_: tuple[int, bool, frozenset[str]]) -> bool:
        parts, keeps, tags = filter_
        tag = ",".join(details[:parts])
        return (tag in tags) == keeps


def lindera(parameters: dict[str, Any]) -> LinderaTokenizer:
    """The tokenizer of a dictionary of Japanese, Korean or Chinese.

    Raises:
        InvalidParameter: an option is none.
        UnsupportedOperation: the library, or this dictionary of it, is not there.
    """
    kind = parameters.get("dict_kind")
    if kind is None:
        raise InvalidParameter("lindera tokenizer dict_kind must be set")
    if not isinstance(kind, str):
        raise InvalidParameter("lindera tokenizer dict kind should be string")
    if kind not in _LINDERA_DICTIONARIES:
        raise InvalidParameter(f"unsupported lindera dict type: {kind}")
    mode = parameters.get("mode", "normal")
    if mode not in ("normal", "decompose"):
        raise InvalidParameter(f"unsupported lindera mode: {mode}")
    filters = _lindera_filters(parameters.get("filter", []))
    return LinderaTokenizer(_segmenter(kind, mode), filters)


@cache
def _segmenter(kind: str, mode: str) -> Any:
    module = library("lindera", "the lindera tokenizer")
    builder = module.TokenizerBuilder()
    builder.set_mode(mode)
    builder.set_dictionary(f"embedded://{kind}")
    try:
        return builder.build()
    except ValueError as error:
        raise UnsupportedOperation(f"lindera dictionary {kind}") from error


def _lindera_filters(entries: Any) -> list[tuple[int, bool, frozenset[str]]]:
    if not isinstance(entries, list):
        raise InvalidParameter("lindera tokenizer filter should be array")
    out = []
    for entry in entries:
        kind = entry.get("kind") if isinstance(entry, dict) else None
        if kind not in _LINDERA_FILTERS:
            raise InvalidParameter(f"unsupported lindera filter type: {kind}")
        tags = entry.get("tags")
        if not isinstance(tags, list) or not all(isinstance(t, str) for t in tags):
            raise InvalidParameter(f"{kind} tags should be array of string")
        parts, keeps = _LINDERA_FILTERS[kind]
        padded = [",".join([*tag.split(","), *"***"][:parts]) for tag in tags]
        out.append((parts, keeps, frozenset(padded)))
    return out

"""The tokenizer that finds out the language of a text, and lets its analyzer work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from elanus.errors import InvalidParameter
from elanus.text.analyzer import Analyzer, Token
from elanus.text.optional import library

_DEFAULT = "default"
# The language of a text by its English name, or "default".
Identifier = Callable[[str], str]


class LanguageTokenizer:
    """Hands each text to the analyzer of its language."""

    counts = False

    def __init__(
        self,
        identify: Identifier,
        analyzers: Mapping[str, Analyzer],
        analyzer_by_language: Mapping[str, str],
    ) -> None:
        self._identify = identify
        self._analyzers = analyzers
        self._analyzer_by_language = analyzer_by_language

    def words(self, text: str) -> list[str]:
        """The texts of the tokens."""
        return self._analyzer(text).words(text)

    def tokens(self, text: str) -> list[Token]:
        """The tokens with their places."""
        return self._analyzer(text).tokens(text)

    def _analyzer(self, text: str) -> Analyzer:
        language = self._identify(text)
        name = self._analyzer_by_language.get(language, language)
        return self._analyzers.get(name) or self._analyzers[_DEFAULT]


def language_identifier(
    parameters: dict[str, Any], build: Callable[[dict[str, Any]], Analyzer]
) -> LanguageTokenizer:
    """The tokenizer that its parameters describe.

    Args:
        parameters: as written.
        build: makes the analyzer of one language.

    Raises:
        InvalidParameter: an option is none.
        UnsupportedOperation: a library that it needs is not installed.
    """
    identify = _identifier(parameters.get("identifier", "whatlang"))
    described = parameters.get("analyzers")
    if described is None:
        raise InvalidParameter("analyzers must be set")
    if not isinstance(described, dict):
        raise InvalidParameter("analyzers must be dict")
    analyzers = {}
    for name, one in described.items():
        if not isinstance(one, dict):
            raise InvalidParameter(f'sub analyzer "{name}" params must be dict')
        analyzers[name] = build(one)
    if _DEFAULT not in analyzers:
        raise InvalidParameter(
            "default sub analyzer for language identifier analyzer must be set"
        )
    mapping = parameters.get("mapping", {})
    if not isinstance(mapping, dict):
        raise InvalidParameter("mapping must be dict")
    if not all(isinstance(name, str) for name in mapping.values()):
        raise InvalidParameter("mapping value must be string")
    return LanguageTokenizer(identify, analyzers, mapping)


def _identifier(parameters: Any) -> Identifier:
    if isinstance(parameters, str):
        return _identifiers(parameters, "name")({})
    if not isinstance(parameters, dict):
        raise InvalidParameter("identifier params must be string or dict")
    if "type" not in parameters:
        raise InvalidParameter("identifier type must be set")
    if not isinstance(parameters["type"], str):
        raise InvalidParameter("identifier type must be string")
    return _identifiers(parameters["type"], "type")(parameters)


def _identifiers(name: str, word: str) -> Callable[[dict[str, Any]], Identifier]:
    known = {"whatlang": _whatlang, "lingua": _lingua}
    if name not in known:
        raise InvalidParameter(f"unknown identifier {word}: {name}")
    return known[name]


def _whatlang(parameters: dict[str, Any]) -> Identifier:
    least = parameters.get("confidence", 0)
    if not isinstance(least, (int, float)) or isinstance(least, bool):
        raise InvalidParameter("confidence must be float")
    detect = library("whatlang", "the language identifier").detect

    def identify(text: str) -> str:
        try:
            info = detect(text)
        except ValueError:  # no language writes like this
            return _DEFAULT
        if info is None or info.confidence <= least:
            return _DEFAULT
        return _ENGLISH_NAMES.get(str(info.lang), _DEFAULT)

    return identify


def _lingua(_: dict[str, Any]) -> Identifier:
    lingua = library("lingua", "the language identifier lingua", "lingua")
    detector = lingua.LanguageDetectorBuilder.from_all_languages().build()

    def identify(text: str) -> str:
        language = detector.detect_language_of(text)
        return _DEFAULT if language is None else str(language.name).capitalize()

    return identify


# By the codes of ISO 639-3, spelled as whatlang spells them.
_ENGLISH_NAMES = {
    "epo": "Esperanto",
    "eng": "English",
    "rus": "Russian",
    "cmn": "Mandarin",
    "spa": "Spanish",
    "por": "Portuguese",
    "ita": "Italian",
    "ben": "Bengali",
    "fra": "French",
    "deu": "German",
    "ukr": "Ukrainian",
    "kat": "Georgian",
    "ara": "Arabic",
    "hin": "Hindi",
    "jpn": "Japanese",
    "heb": "Hebrew",
    "yid": "Yiddish",
    "pol": "Polish",
    "amh": "Amharic",
    "jav": "Javanese",
    "kor": "Korean",
    "nob": "Bokmal",
    "dan": "Danish",
    "swe": "Swedish",
    "fin": "Finnish",
    "tur": "Turkish",
    "nld": "Dutch",
    "hun": "Hungarian",
    "ces": "Czech",
    "ell": "Greek",
    "bul": "Bulgarian",
    "bel": "Belarusian",
    "mar": "Marathi",
    "kan": "Kannada",
    "ron": "Romanian",
    "slv": "Slovene",
    "hrv": "Croatian",
    "srp": "Serbian",
    "mkd": "Macedonian",
    "lit": "Lithuanian",
    "lav": "Latvian",
    "est": "Estonian",
    "tam": "Tamil",
    "vie": "Vietnamese",
    "urd": "Urdu",
    "tha": "Thai",
    "guj": "Gujarati",
    "uzb": "Uzbek",
    "pan": "Punjabi",
    "aze": "Azerbaijani",
    "ind": "Indonesian",
    "tel": "Telugu",
    "pes": "Persian",
    "mal": "Malayalam",
    "ori": "Oriya",
    "mya": "Burmese",
    "nep": "Nepali",
    "sin": "Sinhalese",
    "khm": "Khmer",
    "tuk": "Turkmen",
    "aka": "Akan",
    "zul": "Zulu",
    "sna": "Shona",
    "afr": "Afrikaans",
    "lat": "Latin",
    "slk": "Slovak",
    "cat": "Catalan",
    "tgl": "Tagalog",
    "hye": "Armenian",
    "cym": "Welsh",
}

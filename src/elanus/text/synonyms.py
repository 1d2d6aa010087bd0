"""Filters that give a token other names: synonyms, and the sound of Chinese."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elanus.errors import InvalidParameter, UnsupportedOperation
from elanus.text.analyzer import Filter
from elanus.text.optional import library

_FAILED = "create synonym filter failed, "


def synonym(parameters: dict[str, Any]) -> Filter:
    """Words for their synonyms, or beside them.

    Raises:
        InvalidParameter: the rules cannot be read.
        UnsupportedOperation: they are to come from a file.
    """
    expands = parameters.get("expand", True)
    if not isinstance(expands, bool):
        raise InvalidParameter(f"{_FAILED}`expand` must be bool")
    if "synonyms_file" in parameters:
        raise UnsupportedOperation("synonyms_file of an analyzer")
    rules = parameters.get("synonyms", [])
    if not isinstance(rules, list):
        raise InvalidParameter(f"{_FAILED}`synonyms` must be array")
    # the order of dictionaries stands in for that of a set
    names_by_word: dict[str, dict[str, None]] = {}
    for rule in rules:
        if not isinstance(rule, str):
            raise InvalidParameter(f"{_FAILED}item in `synonyms` must be string")
        left, right = _sides(rule)
        names = right if right is not None else left if expands else left[:1]
        for word in left:
            own = [word] if expands else []
            names_by_word.setdefault(word, {}).update(dict.fromkeys(own + names))

    def named(word: str) -> Sequence[str]:
        names = names_by_word.get(word)
        return tuple(names) if names else (word,)

    return named


def _sides(rule: str) -> tuple[list[str], list[str] | None]:
    """The words left of ``=>`` and right of it; ``None`` without one.

    A backslash takes ``,``, ``=>``, a blank and itself as they stand.
    """
    sides: list[list[str]] = [[]]
    word = ""
    is_after_blank = False
    rest = rule
    while rest:
        taken, rest = rest[0], rest[1:]
        if taken == "\\":
            literal, rest = _escaped(rest, rule)
            word += literal
        elif taken == " ":
            is_after_blank = bool(word)
        elif taken == "," or (taken == "=" and rest.startswith(">")):
            sides[-1] += [word] if word else []
            word, is_after_blank = "", False
            if taken == "=":
                rest = rest[1:]
                if len(sides) > 1:
                    raise InvalidParameter(
                        f'read synonym dict failed, has more than one "=>" in {rule}'
                    )
                sides.append([])
        elif is_after_blank:
            raise InvalidParameter(
                f"read synonym dict failed, has space between words {rule}, please use "
                f"\\ to escape space"
            )
        else:
            word += taken
    sides[-1] += [word] if word else []
    return sides[0], sides[1] if len(sides) > 1 else None


def _escaped(rest: str, rule: str) -> tuple[str, str]:
    if not rest:
        raise InvalidParameter(f"invalid synonym escaped in the end: {rule}")
    if rest[0] in ", \\":
        return rest[0], rest[1:]
    if rest.startswith("=>"):
        return "=>", rest[2:]
    raise InvalidParameter(f"invalid synonym escaped: \\{rest[0]} in {rule}")


_PINYIN_OPTIONS = {
    "keep_original": True,
    "keep_full_pinyin": True,
    "keep_joined_full_pinyin": False,
    "keep_separate_first_letter": False,
}


def pinyin(parameters: dict[str, Any]) -> Filter:
    """Chinese words as they sound in Latin letters.

    Raises:
        InvalidParameter: an option is no truth value.
        UnsupportedOperation: the library is not installed.
    """
    options = {
        key: parameters.get(key, value) for key, value in _PINYIN_OPTIONS.items()
    }
    for key, value in options.items():
        if not isinstance(value, bool):
            raise InvalidParameter(f"pinyin filter {key} must be bool")
    sound = library("pypinyin", "the pinyin filter").lazy_pinyin

    def sounded(word: str) -> Sequence[str]:
        sounds = sound(word, errors="ignore")
        names = [word] if options["keep_original"] or not sounds else []
        if options["keep_full_pinyin"]:
            names += sounds
        if sounds and options["keep_joined_full_pinyin"]:
            names.append("".join(sounds))
        if options["keep_separate_first_letter"]:
            names += [one[0] for one in sounds]
        return tuple(dict.fromkeys(names))

    return sounded

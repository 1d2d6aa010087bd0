r"""Text to tokens: one compiled regular expression, and the values of literals.

A token's kind is its own canonical text for operators, brackets and keywords
(``and`` for ``&&`` and ``AND``), or one of the ``#`` kinds below for the rest. Lists of
plain constants are one token each where JSON reads them as this language does, since
``in`` lists may hold a hundred thousand elements.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import orjson

from elanus.expr.refusal import Refusal

INT = "#int"
FLOAT = "#float"
STRING = "#string"
BOOL = "#bool"
NAME = "#name"
TEMPLATE = "#template"
LIST = "#list"
END = "<EOF>"

INT64_MIN = -(1 << 63)
INT64_MAX = (1 << 63) - 1

_SPACE = r"[ \t\r\n]*+"
_INTEGER_ITEM = r"(?:0|-?[1-9][0-9]{0,18})(?![0-9A-Za-z_.])"
# short enough for the decoder, which makes doubles of integers that do not fit
_NUMBER_ITEM = (
    r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]++)?(?:[eE][+-]?[0-9]{1,2})?(?![0-9A-Za-z_.])"
)
_STRING_ITEM = r'"(?:[^"\\\x00-\x1f]++|\\["\\bfnrt])*+"'
_QUOTED_ITEM = r"'[^'\\\x00-\x1f]*+'"
_ANY_ITEM = rf"(?:{_NUMBER_ITEM}|{_STRING_ITEM}|(?:true|false)(?![0-9A-Za-z_]))"


def _list_of(item: str) -> str:
    """A list of two or more plain items; possessive, so it never backtracks."""
    return rf"\[{_SPACE}{item}(?:{_SPACE},{_SPACE}{item})++{_SPACE}\]"


_TOKEN = re.compile(
    r"""
    [ \t\r\n]*+
    (?:
      (is\ not\ null|IS\ NOT\ NULL|is\ null|IS\ NULL)(?![A-Za-z0-9_])
    | ((?:u8|u|U|L)?(?:"(?:[^"\\\r\n]|\\[\s\S])*+"|'(?:[^'\\\r\n]|\\[\s\S])*+')
       |[rR](?:"[^"\r\n]*+"|'[^'\r\n]*+'))
    | ([A-Za-z_][A-Za-z0-9_]*+|\$meta(?![A-Za-z0-9_]))
    | (0[xX](?:[0-9a-fA-F]*\.[0-9a-fA-F]+|[0-9a-fA-F]+\.?)[pP][+-]?[0-9]+
       |(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?
       |[0-9]+[eE][+-]?[0-9]+)
    | (0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+)
    | """
    + f"({_list_of(_INTEGER_ITEM)}|{_list_of(_ANY_ITEM)})|({_list_of(_QUOTED_ITEM)})"
    + r"""
    | (\{[ \t\r\n]*+[A-Za-z_][A-Za-z0-9_]*+[ \t\r\n]*+\})
    | (\*\*|<<|>>|<=|>=|==|!=|=~|!~|&&|\|\||[-+*/%<>&|^~!(),\[\]=$])
    | ($)
    | ([\s\S])
    )
    """,
    re.VERBOSE,
)
# Numbers of the groups above, as re reports them in lastindex.
_IS_NULL, _STRING, _NAME, _FLOAT, _INT, _JSON_LIST, _QUOTED_LIST = range(1, 8)
_TEMPLATE, _OPERATOR, _END, _BAD = range(8, 12)

_KIND_BY_GROUP = {
    _STRING: STRING,
    _NAME: NAME,
    _FLOAT: FLOAT,
    _INT: INT,
    _JSON_LIST: LIST,
    _QUOTED_LIST: LIST,
    _TEMPLATE: TEMPLATE,
}
_WORDS = {
    **{word: word for word in ("and", "or", "not", "in", "like", "exists")},
    **{word.upper(): word for word in ("and", "or", "not", "in", "like", "exists")},
    **dict.fromkeys(("true", "True", "TRUE", "false", "False", "FALSE"), BOOL),
}
_OPERATORS = {"&&": "and", "||": "or", "!": "not"}


class Tokens(NamedTuple):
    """An expression cut up; parallel lists that end with one ``END`` token.

    Attributes:
        kinds: one of the ``#`` kinds or the token's canonical text.
        texts: as written.
        starts, ends: places in the source, in characters.
    """

    source: str
    kinds: list[str]
    texts: list[str]
    starts: list[int]
    ends: list[int]


def tokenize(text: str) -> Tokens:
    """Cut ``text`` into tokens.

    Raises:
        Refusal: a character that starts no token.
    """
    kinds: list[str] = []
    texts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for match in _TOKEN.finditer(text):
        group = match.lastindex
        assert group is not None
        word = match[group]
        start, end = match.span(group)
        if group == _NAME:
            kind = _WORDS.get(word, NAME)
        elif group == _OPERATOR:
            kind = _OPERATORS.get(word, word)
        elif group == _IS_NULL:
            kind = word.lower()
        elif group == _END:
            break
        elif group == _BAD:
            line, column = position_of(text, start)
            raise Refusal(
                f"line {line}:{column} token recognition error at: '{text[start:]}'"
            )
        else:
            kind = _KIND_BY_GROUP[group]
        kinds.append(kind)
        texts.append(word)
        starts.append(start)
        ends.append(end)
    kinds.append(END)
    texts.append(END)
    starts.append(len(text))
    ends.append(len(text))
    return Tokens(text, kinds, texts, starts, ends)


def position_of(text: str, offset: int) -> tuple[int, int]:
    """Line (from 1) and column (from 0) of a place in the source."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset) - 1


def integer_value(word: str) -> int:
    """The value of an integer literal: decimal, 0x, 0b, or octal by a leading 0.

    Raises:
        Refusal: it does not fit int64, or has a digit that its base lacks.
    """
    value = magnitude(word)
    if value > INT64_MAX:
        raise _out_of_range(word)
    return value


def _out_of_range(word: str) -> Refusal:
    return Refusal(f'strconv.ParseInt: parsing "{word}": value out of range')


def magnitude(word: str) -> int:
    """The value of an integer literal, however large."""
    try:
        if word[0] != "0" or len(word) == 1:
            return int(word) if len(word) < 4000 else INT64_MAX + 2
        return int(word, 0) if word[1] in "xXbB" else int(word, 8)
    except ValueError:
        raise Refusal(f'strconv.ParseInt: parsing "{word}": invalid syntax') from None


def float_value(word: str) -> float:
    """The value of a float literal, decimal or hexadecimal.

    Raises:
        Refusal: it is larger than any double.
    """
    try:
        value = float.fromhex(word) if word[:2] in ("0x", "0X") else float(word)
    except OverflowError:
        value = math.inf
    if math.isinf(value):
        raise Refusal(f'strconv.ParseFloat: parsing "{word}": value out of range')
    return value


_NOT_INTEGERS = re.compile(r'[.eE"]')


def list_values(word: str) -> tuple[bool | int | float | str, ...]:
    """The elements of a ``LIST`` token.

    Raises:
        Refusal: an integer does not fit int64.
    """
    if word[1:].lstrip()[0] == "'":
        return tuple(re.findall(r"'([^']*)'", word))
    values = tuple(orjson.loads(word))
    types = set(map(type, values))
    # The decoder makes uint64 of integers above int64, and doubles of those below.
    if types == {int} and max(values) > INT64_MAX:
        raise _out_of_range(str(max(values)))
    if float in types and not _NOT_INTEGERS.search(word):
        least = min(map(int, re.findall(r"-?[0-9]+", word)))
        raise _out_of_range(str(-least))
    return values


_SIMPLE_ESCAPES = dict(zip("abfnrtv\\'\"?", "\a\b\f\n\r\t\v\\'\"?", strict=True))
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\'\"?])|([0-7]{3})|x([0-9a-fA-F]{2})"
    r"|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([\s\S]))"
)


def string_value(word: str) -> str:
    """The value of a string literal, its escapes decoded; a raw one has none.

    Raises:
        Refusal: an escape that the language does not have.
    """
    body = _body_of(word)
    if "\\" not in body or word[0] in "rR":
        return body
    out = bytearray()
    done = 0
    for match in _ESCAPE.finditer(body):
        out += body[done : match.start()].encode()
        done = match.end()
        out += _escaped_bytes(match)
    out += body[done:].encode()
    try:
        return out.decode()
    except UnicodeDecodeError:
        raise Refusal("invalid syntax") from None


def pattern_value(word: str) -> str:
    """The value of a regular expression's literal: its backslashes stay.

    Only an escaped quote, a doubled backslash and a backslash before the end of a line
    collapse.
    """
    body = _body_of(word)
    if "\\" not in body or word[0] in "rR":
        return body
    return re.sub(
        r"\\([\s\S])",
        lambda m: {"\n": "", "\\": "\\", "'": "'", '"': '"'}.get(m[1], m[0]),
        body,
    )


def _body_of(word: str) -> str:
    return word[1:-1] if word[0] in "\"'" else word[word.index(word[-1]) + 1 : -1]


def _escaped_bytes(match: re.Match[str]) -> bytes:
    simple, octal, byte, short, long, bad = match.groups()
    if simple is not None:
        return _SIMPLE_ESCAPES[simple].encode()
    if octal is not None or byte is not None:
        value = int(octal, 8) if octal is not None else int(byte, 16)
        if value < 256:
            return bytes((value,))
    code = short or long
    if bad is None and code is not None:
        point = int(code, 16)
        if point <= 0x10FFFF and not 0xD800 <= point < 0xE000:
            return chr(point).encode()
    raise Refusal("invalid syntax")

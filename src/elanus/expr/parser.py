"""Tokens to a syntax tree, by precedence climbing (Pratt, "Top Down Operator
Precedence", 1973).

Owns precedence and syntax errors. One departure from Milvus' grammar: ``not`` takes in
the comparison to its right, so that ``not color == "green"`` means what its readers
expect instead of being refused.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Final

from elanus.expr import tokens as t
from elanus.expr.refusal import Refusal
from elanus.expr.tree import (
    Binary,
    Call,
    ConstantList,
    Interval,
    IsNull,
    List,
    Literal,
    Logical,
    Moment,
    Name,
    Part,
    Range,
    Span,
    Template,
    Tree,
    Unary,
)
from elanus.schema.limits import EXPRESSION_DEPTH

_LEVELS_AT_ONCE: Final = 100
_FRAMES_OF_DEEPEST: Final = 12_000

CACHED_CHARACTERS: Final = 2_000
"""Longest text of which a tree, or a predicate, is kept."""

_OR, _AND, _NOT_OPERAND = 1, 2, 3
_RELATIONAL, _RANGE = 7, 8
_UNARY, _MATCH, _PRIMARY = 13, 15, 16
_POWER = {
    "or": _OR,
    "and": _AND,
    "|": 3,
    "^": 4,
    "&": 5,
    **dict.fromkeys(("==", "!="), 6),
    **dict.fromkeys(("<", "<=", ">", ">="), _RELATIONAL),
    **dict.fromkeys(("in", "not"), 9),
    **dict.fromkeys(("<<", ">>"), 10),
    **dict.fromkeys(("+", "-"), 11),
    **dict.fromkeys(("*", "/", "%"), 12),
    "**": 14,
    **dict.fromkeys(("like", "=~", "!~"), _MATCH),
}
_SAME_WAY = {
    "<": ("<", "<="),
    "<=": ("<", "<="),
    ">": (">", ">="),
    ">=": (">", ">="),
}
_TIMES: dict[str, type[Moment] | type[Interval]] = {
    **dict.fromkeys(("ISO", "iso"), Moment),
    **dict.fromkeys(("INTERVAL", "interval"), Interval),
}
_CONSTANT_KINDS = (t.INT, t.FLOAT, t.STRING, t.BOOL)


def parse(text: str) -> Tree:
    """The syntax tree of an expression that is not blank.

    Raises:
        Refusal: the text is not an expression, or nests too deep.
    """
    if len(text) <= CACHED_CHARACTERS:
        return _parse_cached(text)
    return _parse(text)


def _parse(text: str) -> Tree:
    parser = _Parser(t.tokenize(text))
    tree = parser.expression(0)
    parser.expect_end()
    return tree


_parse_cached = lru_cache(maxsize=1024)(_parse)


class _Parser:
    """One pass over the tokens of one expression."""

    __slots__ = ("depth", "ends", "kinds", "pos", "source", "starts", "texts")

    def __init__(self, tokens: t.Tokens) -> None:
        self.source, self.kinds, self.texts, self.starts, self.ends = tokens
        self.pos = 0
        self.depth = 0

    def expression(self, floor: int) -> Tree:
        """What starts here, joined by operators of at least this binding power."""
        depth = self.depth
        self._deepen()
        start = self.starts[self.pos]
        left = self._operand()
        kinds = self.kinds
        while True:
            op = kinds[self.pos]
            power = _POWER.get(op, -1)
            if power == _RELATIONAL and floor <= _RANGE and self._is_range(op):
                left = self._range(left, start)
            elif power < floor:
                break
            elif power <= _AND:
                left = self._logical(left, op, power, start)
            else:
                left = self._binary(left, op, power, start)
            self._deepen()
        self.depth = depth
        return left

    def _deepen(self) -> None:
        """Count a level, and see that the stack has room for it."""
        self.depth += 1
        if self.depth <= _LEVELS_AT_ONCE:
            return
        if self.depth > EXPRESSION_DEPTH:
            raise Refusal(
                f"expression nesting depth exceeds the limit of {EXPRESSION_DEPTH}"
            )
        # Calls from Python to Python cost no space on the machine's stack. What comes
        # after the parser needs no more frames than it does.
        if sys.getrecursionlimit() < _FRAMES_OF_DEEPEST:
            sys.setrecursionlimit(_FRAMES_OF_DEEPEST)

    def expect_end(self) -> None:
        """Refuse whatever follows a complete expression."""
        if self.kinds[self.pos] == t.END:
            return
        if self.kinds[self.pos] == "=":
            raise self._unexpected("mismatched input '=' expecting <EOF>")
        raise Refusal(f"invalid expression: {self.source}")

    # --- operators -------------------------------------------------------------

    def _logical(self, left: Tree, op: str, power: int, start: int) -> Tree:
        operands = [left]
        while self.kinds[self.pos] == op:
            self.pos += 1
            operands.append(self.expression(power + 1))
        return Logical(op, tuple(operands), self._span(start))

    def _binary(self, left: Tree, op: str, power: int, start: int) -> Tree:
        self.pos += 1
        right: Tree
        if op == "not":
            self._expect("in")
            op = "not in"
        if op in ("=~", "!~") and self.kinds[self.pos] == t.STRING:
            span = (self.starts[self.pos], self.ends[self.pos])
            right = Literal(t.pattern_value(self.texts[self.pos]), span)
            self.pos += 1
        else:
            right = self.expression(power + 1)
        return Binary(op, left, right, self._span(start))

    def _is_range(self, op: str) -> bool:
        """Whether a name and a second operator of the same direction follow."""
        kinds, at = self.kinds, self.pos + 1
        if kinds[at] not in (t.NAME, "$"):
            return False
        at += 1
        while kinds[at] == "[" and kinds[at + 1] != t.END:
            at += 3
            if at >= len(kinds):
                return False
        return kinds[at] in _SAME_WAY[op]

    def _range(self, first: Tree, start: int) -> Tree:
        first_op = self.kinds[self.pos]
        self.pos += 1
        subject = self._name()
        last_op = self.kinds[self.pos]
        if last_op not in _SAME_WAY[first_op]:
            raise self._unexpected()
        self.pos += 1
        last = self.expression(_RANGE + 1)
        return Range(first, first_op, subject, last_op, last, self._span(start))

    # --- operands --------------------------------------------------------------

    def _operand(self) -> Tree:
        """A literal, name, list, call, parenthesis, or a prefix and its operand."""
        kind = self.kinds[self.pos]
        if kind in (t.NAME, "$"):
            return self._named()
        if kind in _CONSTANT_KINDS:
            return self._literal(kind)
        start = self.starts[self.pos]
        if kind == "(":
            self.pos += 1
            inner = self.expression(0)
            self._expect(")")
            # nobody else has seen this node yet
            object.__setattr__(inner, "span", self._span(start))
            return inner
        if kind == "-":
            return self._negative(start)
        if kind == "not":
            self.pos += 1
            return Unary("not", self.expression(_NOT_OPERAND), self._span(start))
        if kind in ("+", "~"):
            self.pos += 1
            return Unary(kind, self.expression(_UNARY), self._span(start))
        if kind == "exists":
            self.pos += 1
            return Unary("exists", self.expression(_PRIMARY), self._span(start))
        return self._closed(kind, start)

    def _closed(self, kind: str, start: int) -> Tree:
        if kind == t.TEMPLATE:
            self.pos += 1
            return Template(self.texts[self.pos - 1][1:-1].strip(), self._span(start))
        if kind == t.LIST:
            self.pos += 1
            values = t.list_values(self.texts[self.pos - 1])
            return ConstantList(values, self._span(start))
        if kind == "[":
            return self._list(start)
        raise self._unexpected()

    def _literal(self, kind: str) -> Literal:
        word = self.texts[self.pos]
        span = (self.starts[self.pos], self.ends[self.pos])
        self.pos += 1
        if kind == t.INT:
            return Literal(t.integer_value(word), span)
        if kind == t.STRING:
            return Literal(t.string_value(word), span)
        if kind == t.FLOAT:
            return Literal(t.float_value(word), span)
        return Literal(word in ("true", "True", "TRUE"), span)

    def _negative(self, start: int) -> Tree:
        self.pos += 1
        if (
            self.kinds[self.pos] == t.INT
            and t.magnitude(self.texts[self.pos]) == -t.INT64_MIN
            and self.kinds[self.pos + 1] != "**"
        ):
            self.pos += 1
            return Literal(t.INT64_MIN, self._span(start))
        operand = self.expression(_UNARY)
        if isinstance(operand, Literal) and type(operand.value) in (int, float):
            value = operand.value
            assert isinstance(value, (int, float))
            # int64 has no positive twin of its minimum; as in Go, it stays.
            negated = value if value == t.INT64_MIN else -value
            return Literal(negated, self._span(start))
        return Unary("-", operand, self._span(start))

    def _list(self, start: int) -> Tree:
        self.pos += 1
        self._deepen()  # as many frames as two levels of operators
        items: list[Tree] = []
        while (kind := self.kinds[self.pos]) != "]":
            is_plain = kind in _CONSTANT_KINDS and self.kinds[self.pos + 1] in ",]"
            items.append(self._literal(kind) if is_plain else self.expression(0))
            if self.kinds[self.pos] != ",":
                break
            self.pos += 1
        self._expect("]")
        self.depth -= 1
        span = self._span(start)
        constants = tuple(i.value for i in items if isinstance(i, Literal))
        if len(constants) == len(items):
            return ConstantList(constants, span)
        return List(tuple(items), span)

    def _named(self) -> Tree:
        start = self.starts[self.pos]
        following = self.kinds[self.pos + 1]
        if following == "(":
            return self._call(start)
        word = self.texts[self.pos]
        if following == t.STRING and word in _TIMES:
            self.pos += 2
            text = t.string_value(self.texts[self.pos - 1])
            return _TIMES[word](text, self._span(start))
        name = self._name()
        kind = self.kinds[self.pos]
        if kind in ("is null", "is not null"):
            self.pos += 1
            return IsNull(name, kind == "is not null", self._span(start))
        return name

    def _name(self) -> Name:
        start = self.starts[self.pos]
        name = self.texts[self.pos]
        self.pos += 1
        if self.kinds[self.pos] not in ("[", t.LIST):
            return Name(name, (), self._span(start))
        path: list[str | int | Part] = []
        while self.kinds[self.pos] in ("[", t.LIST):
            path.append(self._key())
        return Name(name, tuple(path), self._span(start))

    def _key(self) -> str | int | Part:
        """One ``["key"]``, ``[0]`` or ``[part]`` after a name."""
        if self.kinds[self.pos] == t.LIST:
            raise Refusal(
                "json key must be enclosed in double quotes or single quotes: "
                f'"{self.texts[self.pos][1:-1]}"'
            )
        self.pos += 1
        kind, word = self.kinds[self.pos], self.texts[self.pos]
        key: str | int | Part
        if kind == t.STRING:
            key = t.string_value(word)
            if not key:
                raise Refusal(f"invalid identifier: {self.source}")
        elif kind == t.INT and word.isdigit():
            key = int(word) if len(word) < 20 else t.integer_value(word)
        elif kind == t.END:
            raise self._unexpected()
        elif self.kinds[self.pos + 1] == "]" and kind == t.NAME:
            key = Part(word)
        else:
            raise Refusal(
                f'json key must be enclosed in double quotes or single quotes: "{word}"'
            )
        self.pos += 1
        self._expect("]")
        return key

    def _call(self, start: int) -> Tree:
        name = self.texts[self.pos]
        self.pos += 2
        self._deepen()  # as many frames as two levels of operators
        arguments: list[Tree] = []
        options: list[tuple[str, Tree]] = []
        while self.kinds[self.pos] != ")":
            if self.kinds[self.pos] == t.NAME and self.kinds[self.pos + 1] == "=":
                option = self.texts[self.pos]
                self.pos += 2
                options.append((option, self.expression(0)))
            else:
                arguments.append(self.expression(0))
            if self.kinds[self.pos] != ",":
                break
            self.pos += 1
        self._expect(")")
        self.depth -= 1
        return Call(name, tuple(arguments), tuple(options), self._span(start))

    # --- tokens ----------------------------------------------------------------

    def _span(self, start: int) -> Span:
        return start, self.ends[self.pos - 1]

    def _expect(self, kind: str) -> None:
        if self.kinds[self.pos] != kind:
            raise self._unexpected(f"mismatched input '{{}}' expecting '{kind}'")
        self.pos += 1

    def _unexpected(self, message: str | None = None) -> Refusal:
        """The syntax error of the current token, in ANTLR's words."""
        word = self.texts[self.pos]
        if message is None:
            message = (
                "mismatched input '{}' expecting an expression"
                if word == t.END
                else "no viable alternative at input '{}'"
            )
        line, column = t.position_of(self.source, self.starts[self.pos])
        return Refusal(f"line {line}:{column} {message.replace('{}', word)}")

"""An analyzer: a tokenizer, then filters, each of which turns one token into some.

What the filters make of a token depends on its text alone, so it is remembered: a text
costs its tokenizing and a look-up for each token.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

# Different tokens whose outcome is kept; a vocabulary is far smaller, an id is not.
_REMEMBERED = 200_000
_HASHED_BYTES = 100
_HASHES = 2**32 - 1


class Token(NamedTuple):
    """One token of a text.

    Attributes:
        text: as the filters left it.
        start: its first character in the text.
        end: the character after its last.
        position: what distances of phrases are counted in.
        length: positions it covers.
    """

    text: str
    start: int
    end: int
    position: int
    length: int = 1


class Tokenizer(Protocol):
    """What cuts a text.

    Attributes:
        counts: whether the position of a token is how many are before it.
    """

    counts: bool

    def words(self, text: str) -> list[str]:
        """The texts of the tokens."""
        ...

    def tokens(self, text: str) -> list[Token]:
        """The tokens with their places."""
        ...


# The tokens that one token becomes; none to drop it.
Filter = Callable[[str], Sequence[str]]


class _Outcomes(dict[str, tuple[str, ...]]):
    """What the filters make of each token, worked out when it is first seen."""

    def __init__(self, filters: tuple[Filter, ...]) -> None:
        super().__init__()
        self._filters = filters

    def __missing__(self, word: str) -> tuple[str, ...]:
        outcome: tuple[str, ...] = (word,)
        for apply in self._filters:
            outcome = tuple(made for one in outcome for made in apply(one))
        if len(self) >= _REMEMBERED:
            self.clear()
        self[word] = outcome
        return outcome


class Analyzer:
    """Turns texts into tokens. Safe to use from several threads."""

    def __init__(self, tokenizer: Tokenizer, filters: tuple[Filter, ...] = ()) -> None:
        self._tokenizer = tokenizer
        self._outcomes = _Outcomes(filters) if filters else None

    @property
    def counts(self) -> bool:
        """Whether the position of a token is how many the tokenizer made before it."""
        return self._tokenizer.counts

    def words(self, text: str) -> list[str]:
        """The texts of the tokens, in order."""
        words = self._tokenizer.words(text)
        outcomes = self._outcomes
        if outcomes is None:
            return words
        return [made for word in words for made in outcomes[word]]

    def placed(self, text: str) -> tuple[list[str], list[int]]:
        """The texts of the tokens and their positions."""
        if not self._tokenizer.counts:
            tokens = self.tokens(text)
            return [t.text for t in tokens], [t.position for t in tokens]
        words = self._tokenizer.words(text)
        outcomes = self._outcomes
        if outcomes is None:
            return words, list(range(len(words)))
        made: list[str] = []
        positions: list[int] = []
        for position, word in enumerate(words):
            for one in outcomes[word]:
                made.append(one)
                positions.append(position)
        return made, positions

    def tokens(self, text: str) -> list[Token]:
        """The tokens with their places in the text."""
        tokens = self._tokenizer.tokens(text)
        outcomes = self._outcomes
        if outcomes is None:
            return tokens
        return [
            token if made == token.text else token._replace(text=made)
            for token in tokens
            for made in outcomes[token.text]
        ]


def token_hash(token: str) -> int:
    """The dimension of a token in the sparse vectors of BM25, below 2**32 - 1.

    Milvus' own: CRC-32 of the first hundred bytes, so that stored vectors agree.
    """
    return zlib.crc32(token.encode()[:_HASHED_BYTES]) % _HASHES

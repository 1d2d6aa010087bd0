"""Index parameters that are no whole numbers: names, switches and factors.

The tables that use them are in :mod:`elanus.index.params`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from elanus.errors import InvalidParameter, RequestError

_FLOAT_MAX = 3.4028234663852886e38


class SearchParameterError(RequestError):
    """A search parameter is out of range, of the wrong type, or below the limit."""

    code = 65535
    is_input_error = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several names, in any case.

    Attributes:
        name: as published, case-sensitive.
        values: in lower case; a build keeps the position of the one chosen.
        default: position of the value used where none is given.
        problem: Milvus' text for any other; ``{value}`` stands for what was given.
    """

    name: str
    values: tuple[str, ...]
    default: int
    problem: str

    def parse(self, value: object) -> int:
        """The position of a value.

        Raises:
            InvalidParameter: it is none of them.
        """
        text = str(value).lower()
        if text not in self.values:
            raise InvalidParameter(self.problem.format(value=value))
        return self.values.index(text)


@dataclass(frozen=True, slots=True)
class Switch:
    """Yes or no.

    Attributes:
        name: as published, case-sensitive.
        default: 1 or 0, used where none is given.
    """

    name: str
    default: int

    def parse(self, value: object) -> int:
        """1 or 0.

        Raises:
            InvalidParameter: it is neither ``true`` nor ``false``.
        """
        text = str(value).lower()
        if text not in ("true", "false"):
            raise InvalidParameter(
                f"Type conflict in json: param '{self.name}' "
                f"({json.dumps(str(value))}) should be a boolean"
            )
        return int(text == "true")


@dataclass(frozen=True, slots=True)
class Factor:
    """A number of at least ``low`` that a search may bring.

    Attributes:
        name: as published, case-sensitive.
    """

    name: str
    low: float

    def check(self, value: object) -> None:
        """Raise unless the value is such a number; clients also send it as text.

        Raises:
            SearchParameterError: with Milvus' text.
        """
        number = self._number(value)
        if not self.low <= number <= _FLOAT_MAX:
            raise SearchParameterError(
                f"Out of range in json: param '{self.name}' ({value}) should be in "
                f"range [{self.low:.6f}, {_FLOAT_MAX:.6f}]"
            )

    def _number(self, value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value) if abs(value) < _FLOAT_MAX else math.inf
        if isinstance(value, str):
            try:
                return float(value)
            except ValueError:
                raise SearchParameterError(
                    f"invalid float value, key: '{self.name}', value: '{value}'"
                ) from None
        raise SearchParameterError(
            f"Type conflict in json: param '{self.name}' ({json.dumps(value)}) should "
            f"be a number"
        )

"""What a hybrid search is: its searches, and how their answers become one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from elanus.engine.read.group_plan import GroupBy
from elanus.engine.read.plan import SearchPlan
from elanus.errors import InvalidParameter
from elanus.functions.rank.decay import Decay
from elanus.functions.rank.model import TextScorer
from elanus.functions.rank.scale import ScoreMode
from elanus.schema.schema import FieldSchema

_RRF_K_END = 16384


@dataclass(frozen=True, slots=True)
class RRF:
    """Reciprocal rank fusion: the sum of ``1 / (k + rank)``, ranks from 1.

    Attributes:
        k: how little the first ranks count for more than later ones.
    """

    k: float = 60.0


@dataclass(frozen=True, slots=True)
class Weighted:
    """The weighted sum of the scores; a search that lacks a row adds nothing.

    Attributes:
        weights: one for each search, 0 to 1.
        norm_score: whether scores are brought to the range 0 to 1 first, larger being
            nearer. Otherwise that is done only to distances, and only beside
            similarities.
    """

    weights: tuple[float, ...]
    norm_score: bool = True


@dataclass(frozen=True, slots=True)
class Decayed:
    """The scores of a row as one, times what the value of a field leaves of it.

    Attributes:
        field: of numbers; a null leaves nothing.
        mode: how the scores of several searches become one.
        norm_score: as of :class:`Weighted`, but that distances are always brought to
            that range.
    """

    field: FieldSchema
    decay: Decay
    mode: ScoreMode = ScoreMode.MAX
    norm_score: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """The score that a model gives to the text of a row.

    Attributes:
        field: of texts; a null is an empty one.
    """

    field: FieldSchema
    scorer: TextScorer


Ranker: TypeAlias = RRF | Weighted | Decayed | Judged


class GroupScorer(StrEnum):
    """How the rows of a group make its score."""

    MAX = "max"
    SUM = "sum"
    AVG = "avg"


@dataclass(frozen=True, slots=True)
class FusionPlan:
    """How the answers of several searches become one.

    Attributes:
        limit, offset: ranks ``offset`` to ``offset + limit`` of each query are wanted;
            of groups, where there are any.
        group: as in the plan of each search.
    """

    paths: tuple[SearchPlan, ...]
    ranker: Ranker
    limit: int
    offset: int = 0
    group: GroupBy | None = None
    scorer: GroupScorer = GroupScorer.MAX

    @property
    def is_ascending(self) -> bool:
        """Whether smaller scores are better: distances are added as they are."""
        ranker = self.ranker
        if not isinstance(ranker, Weighted) or ranker.norm_score:
            return False
        return not any(path.metric.row.larger_is_better for path in self.paths)


def check_ranker(ranker: Ranker, searches: int) -> None:
    """Raise unless a ranker fits a number of searches.

    Raises:
        InvalidParameter: with Milvus' text.
    """
    if isinstance(ranker, RRF):
        if not _is_number(ranker.k):
            raise InvalidParameter("the type of rank param k should be float")
        if not 0 < ranker.k < _RRF_K_END:
            raise InvalidParameter(
                f"The rank params k should be in range (0, {_RRF_K_END})"
            )
        return
    if not isinstance(ranker, Weighted):
        return
    for weight in ranker.weights:
        if not _is_number(weight):
            raise InvalidParameter("the type of rank param weight should be float")
        if not 0 <= weight <= 1:
            raise InvalidParameter("rank param weight should be in range [0, 1]")
    if len(ranker.weights) != searches:
        raise InvalidParameter(
            "the length of weights param mismatch with ann search requests",
            expected=searches,
            actual=len(ranker.weights),
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

"""Function chains of a search, checked: names resolved, parameters of their types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from elanus.engine.definition import CollectionDefinition
from elanus.engine.read.chain import (
    ID,
    SCORE,
    Chain,
    Combine,
    Compute,
    Fade,
    Judge,
    Limit,
    Map,
    Round,
    Sort,
    Step,
)
from elanus.errors import InvalidParameter, UnsupportedOperation
from elanus.functions.providers.rerank import service_scorer
from elanus.functions.providers.services import Services
from elanus.functions.rank.combine import Combination, Mode
from elanus.functions.rank.decay import checked_decay
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType
from elanus.service.rank_functions import for_queries, readable_field
from elanus.service.request_functions import (
    ChainCall,
    ChainStep,
    ColumnName,
    FunctionChain,
)

_PLACES = 6


class Stage(IntEnum):
    """When a chain runs; the numbers are Milvus'."""

    UNSPECIFIED = 0
    INGESTION = 1
    PRE_PROCESS = 2
    L0_RERANK = 3
    L1_RERANK = 4
    L2_RERANK = 5
    POST_PROCESS = 6


_BEFORE_OFFSET = (Stage.L0_RERANK, Stage.L1_RERANK)


@dataclass(frozen=True, slots=True)
class Chains:
    """The chains of a search, in the order in which they run.

    Attributes:
        early: those that see the rows before the offset is taken off.
        late: those that see what is left.
    """

    early: tuple[Chain, ...] = ()
    late: tuple[Chain, ...] = ()

    def for_queries(self, nq: int, asked: npt.NDArray[np.bool_] | None) -> Chains:
        """The same for the queries that are asked; see :func:`for_queries`.

        Raises:
            InvalidParameter: a model has a text for more queries, or fewer.
        """
        early, late = (
            tuple(_asking(chain, nq, asked) for chain in chains)
            for chains in (self.early, self.late)
        )
        return Chains(early, late)


NO_CHAINS = Chains()


def chains_of(
    definition: CollectionDefinition,
    chains: tuple[FunctionChain, ...],
    services: Services,
) -> Chains:
    """The chains of a request, ready to run.

    Raises:
        InvalidParameter: one names what is not there, or a parameter is not one.
        UnsupportedOperation: Milvus may have it, Elanus has not.
    """
    by_stage: dict[Stage, list[Chain]] = {}
    for given in chains:
        stage = _stage(given)
        by_stage.setdefault(stage, []).append(
            _Reader(definition, services).chain(given)
        )
    early = [c for stage in _BEFORE_OFFSET for c in by_stage.get(stage, ())]
    return Chains(tuple(early), tuple(by_stage.get(Stage.L2_RERANK, ())))


def _stage(chain: FunctionChain) -> Stage:
    known = {stage.value: stage for stage in Stage}
    stage = known.get(chain.stage, Stage.UNSPECIFIED)
    if stage is Stage.UNSPECIFIED:
        raise InvalidParameter(f"unknown function chain stage: {chain.stage}")
    if stage not in (*_BEFORE_OFFSET, Stage.L2_RERANK):
        raise UnsupportedOperation(f"function chain stage {stage.name} in a search")
    return stage


def _asking(chain: Chain, nq: int, asked: npt.NDArray[np.bool_] | None) -> Chain:
    steps: list[Step] = []
    for step in chain.steps:
        if isinstance(step, Map) and isinstance(step.compute, Judge):
            scorer = for_queries(step.compute.scorer, nq, asked)
            step = replace(step, compute=replace(step.compute, scorer=scorer))
        steps.append(step)
    return replace(chain, steps=tuple(steps))


class _Reader:
    """Reads one chain; knows which columns there are at each step."""

    def __init__(self, definition: CollectionDefinition, services: Services) -> None:
        self._definition = definition
        self._services = services
        self._types: dict[str, DataType] = {
            ID: definition.schema.primary.dtype,
            SCORE: DataType.FLOAT,
        }
        self._fields: dict[str, FieldSchema] = {}

    def chain(self, given: FunctionChain) -> Chain:
        if not given.steps:
            raise InvalidParameter(f"function chain {given.name!r} has no operations")
        steps = tuple(self._step(step) for step in given.steps)
        return Chain(steps, self._fields)

    def _step(self, step: ChainStep) -> Step:
        if step.op == "map":
            return self._map(step)
        if step.op == "sort":
            return self._sort(step)
        if step.op == "limit":
            return _limit(step)
        raise InvalidParameter(f"unsupported function chain op: {step.op}")

    # --- map ------------------------------------------------------------------------

    def _map(self, step: ChainStep) -> Map:
        call = step.call
        if call is None:
            raise InvalidParameter("function chain map needs an expression")
        if len(step.outputs) != 1 or not step.outputs[0]:
            raise InvalidParameter(
                f"function chain map requires exactly 1 output, got {len(step.outputs)}"
            )
        output = step.outputs[0]
        if output.startswith("$") and output != SCORE:
            raise InvalidParameter(f"function chain map cannot write {output}")
        readers: Mapping[str, Callable[[ChainCall], Compute]] = {
            "num_combine": self._combine,
            "decay": self._decay,
            "round_decimal": self._round,
            "rerank_model": self._model,
        }
        if call.name == "xgboost":
            raise UnsupportedOperation("function xgboost in a function chain")
        if call.name not in readers:
            raise InvalidParameter(f"unsupported function in chain: {call.name}")
        compute = readers[call.name](call)
        self._types[output] = DataType.DOUBLE
        # what is computed hides a field of its name from here on
        return Map(output, compute)

    def _combine(self, call: ChainCall) -> Combine:
        args = tuple(
            self._number(call, arg)
            if isinstance(arg, ColumnName)
            else float(_numeric(call, "argument", arg))
            for arg in call.args
        )
        if len(args) < 2:
            raise InvalidParameter(
                f"num_combine requires at least 2 columns, got {len(args)}"
            )
        mode = call.params.get("mode", Mode.SUM.value)
        if mode not in set(Mode):
            raise InvalidParameter(
                f"num_combine: unsupported mode {mode}, must be one of "
                f"[{', '.join(Mode)}]"
            )
        weights = call.params.get("weights", ())
        if (mode == Mode.WEIGHTED) != bool(weights):
            raise InvalidParameter("num_combine: weights belong to mode weighted")
        if not isinstance(weights, list | tuple):
            raise InvalidParameter("num_combine: weights must be a list")
        if weights and len(weights) != len(args):
            raise InvalidParameter(
                f"num_combine: {len(args)} columns need as many weights, got "
                f"{len(weights)}"
            )
        numbers = tuple(float(_numeric(call, "weight", w)) for w in weights)
        return Combine(Combination(Mode(mode), numbers), args)

    def _decay(self, call: ChainCall) -> Fade:
        column = self._number(call, _only(call))
        for name in ("function", "origin", "scale"):
            if name not in call.params:
                raise InvalidParameter(f"decay {name} not specified")
        numbers = {
            name: float(_numeric(call, name, call.params.get(name, usual)))
            for name, usual in (
                ("origin", 0),
                ("scale", 0),
                ("offset", 0),
                ("decay", 0.5),
            )
        }
        return Fade(checked_decay(str(call.params["function"]), **numbers), column)

    def _round(self, call: ChainCall) -> Round:
        column = self._number(call, _only(call))
        places = call.params.get("decimal")
        if not (_is_whole(places) and 0 <= places <= _PLACES):
            raise InvalidParameter(
                f"round_decimal: decimal must be an integer in [0, {_PLACES}], got "
                f"{places}"
            )
        return Round(places, column)

    def _model(self, call: ChainCall) -> Judge:
        column = self._column(_only(call))
        if self._types[column] not in (DataType.VARCHAR, DataType.TEXT):
            raise InvalidParameter(
                f"model input field {column} must be VarChar, got "
                f"{self._types[column].row.name}"
            )
        params = dict(call.params)
        queries = params.pop("queries", None)
        if queries is None:
            raise InvalidParameter("rerank function missing required param: queries")
        if not isinstance(queries, list) or not all(
            isinstance(query, str) for query in queries
        ):
            raise InvalidParameter(
                f"parse rerank params [queries] failed: {queries} is no list of texts"
            )
        texts = {name.lower(): str(value) for name, value in params.items()}
        # chains call it so, other functions model_name
        texts.setdefault("model_name", texts.get("model", ""))
        return Judge(service_scorer(self._services, tuple(queries), texts), column)

    # --- sort -----------------------------------------------------------------------

    def _sort(self, step: ChainStep) -> Sort:
        name = step.params.get("column")
        if not isinstance(name, str) or not name:
            raise InvalidParameter("function chain sort column not specified")
        is_descending = step.params.get("desc", True)
        if not isinstance(is_descending, bool):
            raise InvalidParameter("function chain sort desc must be a bool")
        tie = step.params.get("tie_break_col")
        if tie is not None and not isinstance(tie, str):
            raise InvalidParameter("function chain sort tie_break_col must be a name")
        return Sort(
            self._column(ColumnName(name)),
            is_descending,
            None if tie is None else self._column(ColumnName(tie)),
        )

    # --- columns --------------------------------------------------------------------

    def _column(self, arg: Any) -> str:
        if not isinstance(arg, ColumnName):
            raise InvalidParameter(f"function chain argument {arg!r} is no column")
        if arg.name not in self._types:
            field = readable_field(self._definition, arg.name)
            self._fields[arg.name] = field
            self._types[arg.name] = field.dtype
        return arg.name

    def _number(self, call: ChainCall, arg: Any) -> str:
        name = self._column(arg)
        dtype = self._types[name]
        if not dtype.is_numeric:
            raise InvalidParameter(
                f"{call.name} input field {name} must be numeric, got {dtype.row.name}"
            )
        return name


def _limit(step: ChainStep) -> Limit:
    limit, offset = step.params.get("limit"), step.params.get("offset", 0)
    if not (_is_whole(limit) and limit > 0):
        raise InvalidParameter(
            f"function chain limit must be a positive integer, got {limit}"
        )
    if not (_is_whole(offset) and offset >= 0):
        raise InvalidParameter(
            f"function chain offset must be a non-negative integer, got {offset}"
        )
    return Limit(limit, offset)


def _only(call: ChainCall) -> Any:
    if len(call.args) != 1:
        raise InvalidParameter(
            f"{call.name} requires exactly 1 column, got {len(call.args)}"
        )
    return call.args[0]


def _numeric(call: ChainCall, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidParameter(f"{call.name} param {name}: {value} is not a number")
    return value


def _is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)

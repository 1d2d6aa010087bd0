"""Functions and highlighters that a search brings, from their messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from elanus.server.grpc.messages import Message
from elanus.service.request_functions import (
    ChainCall,
    ChainStep,
    ColumnName,
    FunctionChain,
    FunctionScore,
    Highlighter,
    RankFunction,
)


def function_score(message: Message) -> FunctionScore | None:
    """The ``function_score`` of a request; ``None`` if it has none."""
    if not message.HasField("function_score"):
        return None
    score = message.function_score
    functions = tuple(
        RankFunction(
            function.name,
            function.type,
            tuple(function.input_field_names),
            {pair.key: pair.value for pair in function.params},
        )
        for function in score.functions
    )
    return FunctionScore(functions, {pair.key: pair.value for pair in score.params})


def function_chains(messages: Iterable[Message]) -> tuple[FunctionChain, ...]:
    """The ``function_chains`` of a request."""
    return tuple(
        FunctionChain(chain.name, chain.stage, tuple(_step(step) for step in chain.ops))
        for chain in messages
    )


def highlighter(message: Message) -> Highlighter | None:
    """The ``highlighter`` of a request; ``None`` if it has none."""
    if not message.HasField("highlighter"):
        return None
    given = message.highlighter
    return Highlighter(given.type, {pair.key: pair.value for pair in given.params})


def _step(message: Message) -> ChainStep:
    call = None
    if message.HasField("expr"):
        expr = message.expr
        call = ChainCall(
            expr.name, tuple(_arg(arg) for arg in expr.args), _params(expr.params)
        )
    return ChainStep(
        message.op,
        call,
        tuple(message.inputs),
        tuple(message.outputs),
        _params(message.params),
    )


def _arg(message: Message) -> Any:
    if message.WhichOneof("arg") == "column":
        return ColumnName(message.column.name)
    return _value(message.literal)


def _params(messages: Mapping[str, Message]) -> dict[str, Any]:
    return {name: _value(messages[name]) for name in messages}


def _value(message: Message) -> Any:
    """A plain value; ``None`` for one that is not set."""
    kind = message.WhichOneof("value")
    if kind is None:
        return None
    value = getattr(message, kind)
    if kind == "array_value":
        return [_value(part) for part in value.values]
    if kind == "object_value":
        return _params(value.fields)
    return value

"""Functions of a collection: fields that are made of other fields.

Descriptions and the rules for them; what a function makes is in
:mod:`elanus.functions`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from elanus.errors import InvalidParameter, UnsupportedOperation
from elanus.schema.types import DataType

if TYPE_CHECKING:
    from elanus.schema.schema import FieldSchema

FIRST_FUNCTION_ID = 100
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))


class FunctionKind(IntEnum):
    """What a function makes, as numbered on the wire."""

    UNKNOWN = 0
    BM25 = 1
    TEXT_EMBEDDING = 2
    RERANK = 3
    MINHASH = 4
    MOL_FINGERPRINT = 5


@dataclass(frozen=True, slots=True)
class FunctionSchema:
    """One function as declared.

    Attributes:
        kind: a number of :class:`FunctionKind`, or one that is none.
        inputs: names of the fields it reads.
        outputs: names of the fields it makes.
        id: number given at creation.
    """

    name: str
    kind: int
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    id: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The durable form: plain JSON values."""
        return {
            "name": self.name,
            "kind": int(self.kind),
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "params": dict(self.params),
            "description": self.description,
            "id": self.id,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FunctionSchema:
        """The inverse of :meth:`to_dict`."""
        lists = {key: tuple(data[key]) for key in ("inputs", "outputs")}
        return cls(**{**data, **lists})


def check_functions(
    functions: Sequence[FunctionSchema], fields: Sequence[FieldSchema], collection: str
) -> None:
    """Raise unless functions can make their fields of others.

    Raises:
        InvalidParameter: the first rule broken, in Milvus' words.
        UnsupportedOperation: a function that Elanus does not have.
    """
    by_name = {f.name: f for f in fields}
    names: set[str] = set()
    made: set[str] = set()
    for function in functions:
        if not function.name:
            raise InvalidParameter("function name cannot be empty")
        if function.name in names:
            raise InvalidParameter(f"duplicate function name: {function.name}")
        names.add(function.name)
        _check_names(function, by_name)
        for output in function.outputs:
            if output in made:
                raise InvalidParameter(
                    f"duplicate function output field: function {function.name}, "
                    f"field {output}"
                )
            made.add(output)
            _check_output(function, by_name[output])
        if function.kind != FunctionKind.BM25:
            raise UnsupportedOperation(
                f"function {function.name} in collection {collection}"
            )
        _check_bm25(function, by_name)


def _check_names(function: FunctionSchema, fields: Mapping[str, FieldSchema]) -> None:
    about = f"function: {function.name}"
    if not function.inputs:
        raise InvalidParameter(f"function input field names cannot be empty, {about}")
    for name in function.inputs:
        if not name:
            raise InvalidParameter(
                f"function input field name cannot be empty, {about}"
            )
        if function.inputs.count(name) > 1:
            raise InvalidParameter(
                f"each function input field should be used exactly once in the same "
                f"function, {about}, input field: {name}"
            )
        if name not in fields:
            raise InvalidParameter(f"function input field not found: {name}")
    if not function.outputs:
        raise InvalidParameter(f"function output field names cannot be empty, {about}")
    for name in function.outputs:
        if not name:
            raise InvalidParameter(
                f"function output field name cannot be empty, {about}"
            )
        if name in function.inputs:
            raise InvalidParameter(
                f"a single field cannot be both input and output in the same function, "
                f"{about}, field: {name}"
            )
        if name not in fields:
            raise InvalidParameter(f"function output field not found: {name}")


def _check_output(function: FunctionSchema, output: FieldSchema) -> None:
    about = f"function {function.name}, field {output.name}"
    if output.is_primary:
        raise InvalidParameter(f"function output field cannot be primary key: {about}")
    if output.is_partition_key or output.is_clustering_key:
        raise InvalidParameter(
            f"function output field cannot be partition key or clustering key: {about}"
        )
    if output.nullable:
        raise InvalidParameter(f"function output field cannot be nullable: {about}")


def _check_bm25(function: FunctionSchema, fields: Mapping[str, FieldSchema]) -> None:
    inputs = [fields[name] for name in function.inputs]
    if len(inputs) != 1 or inputs[0].dtype not in (DataType.VARCHAR, DataType.TEXT):
        raise InvalidParameter(
            f"BM25 function input field must be a VARCHAR/TEXT field, got "
            f"{len(inputs)} field with type {inputs[0].dtype.row.name}"
        )
    if inputs[0].properties.get("enable_analyzer", "") not in _TRUE:
        raise InvalidParameter(
            "BM25 function input field must set enable_analyzer to true"
        )
    if len(function.outputs) != 1:
        raise InvalidParameter(
            f"BM25 function only need 1 output field, but got {len(function.outputs)}"
        )
    output = fields[function.outputs[0]]
    if output.dtype is not DataType.SPARSE_FLOAT_VECTOR:
        raise InvalidParameter(
            f"BM25 function output field must be a SparseFloatVector field, but got "
            f"{output.dtype.row.name}"
        )
    if function.params:
        raise InvalidParameter("BM25 function accepts no params")

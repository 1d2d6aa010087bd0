"""Fields and collection schemas: frozen descriptions, with their durable form.

Leaves the rules to :mod:`elanus.schema.check` and values to the codecs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import Any

import pyarrow as pa

from elanus.schema.functions import FIRST_FUNCTION_ID, FunctionSchema
from elanus.schema.types import DataType, VectorRow
from elanus.schema.vectors import vector_arrow_type

DYNAMIC_FIELD = "$meta"
FIRST_FIELD_ID = 100


@dataclass(frozen=True)
class FieldSchema:
    """One column of a collection.

    Attributes:
        name: unique in the schema.
        dtype: the data type.
        id: number given at creation, never reused; names may change, ids do not.
        dim: dimensions of a vector.
        max_length: longest VarChar value (or array element), in bytes of UTF-8.
        max_capacity: most elements of an Array value.
        element_type: type of the elements of an Array, or an ArrayOfVector.
        default: value used where none is given, as it was declared; of a point in time
            microseconds, once it is checked. ``None`` means no default.
        is_dynamic: the hidden ``$meta`` JSON column.
        is_partition_key: its value chooses the partition of a row.
        is_clustering_key: kept to be told back.
        since: version of the schema that brought it; older rows read as
            :attr:`absent`.
        until: version of the schema that dropped it; 0 while it is there.
        struct: name of the struct array that it is a part of; empty for most fields.
        is_function_output: whether a function makes its values, and nobody else.
    """

    name: str
    dtype: DataType
    id: int = 0
    is_primary: bool = False
    auto_id: bool = False
    nullable: bool = False
    default: Any = None
    dim: int | None = None
    max_length: int | None = None
    max_capacity: int | None = None
    element_type: DataType | None = None
    is_dynamic: bool = False
    is_partition_key: bool = False
    is_clustering_key: bool = False
    since: int = 0
    until: int = 0
    struct: str = ""
    is_function_output: bool = False
    description: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_vector(self) -> bool:
        """Whether values are vectors, or lists of some."""
        return self.dtype.is_vector

    @cached_property
    def filling(self) -> Any:
        """The default value as columns hold it; ``None`` without one."""
        if self.default is None or self.dtype is not DataType.GEOMETRY:
            return self.default
        # GEOS is loaded by what meets a geometry
        from elanus.schema.geometry import wkb_of_texts

        return wkb_of_texts(pa.array([self.default], pa.large_string()))[0].as_py()

    @cached_property
    def is_vector_list(self) -> bool:
        """Whether values are lists of vectors."""
        return self.dtype is DataType.ARRAY_OF_VECTOR

    @property
    def vector_type(self) -> DataType:
        """The type of one of its vectors; only of a vector field."""
        if not self.is_vector_list:
            return self.dtype
        assert self.element_type is not None
        return self.element_type

    @cached_property
    def vector(self) -> VectorRow:
        """What is special to its vectors; only of a vector field."""
        vector = self.vector_type.vector
        return vector.listed if self.is_vector_list else vector

    @property
    def part(self) -> str:
        """What a field of a struct is called in it; else its name."""
        return self.name[len(self.struct) + 1 : -1] if self.struct else self.name

    @property
    def absent(self) -> Any:
        """The value of rows that were written before the field was added."""
        return b"{}" if self.is_dynamic else self.filling

    @cached_property
    def width(self) -> int:
        """Stored values of one vector; 0 for a sparse one."""
        return self.vector.width(self.dim or 0)

    @cached_property
    def arrow_type(self) -> pa.DataType:
        """The Arrow type of this column in memory and in files."""
        if self.dtype is DataType.ARRAY:
            assert self.element_type is not None
            return pa.large_list(self.element_type.row.arrow)
        if self.is_vector:
            return vector_arrow_type(
                self.vector, self.dim or 0, is_nullable=self.nullable
            )
        return self.dtype.row.arrow

    def to_dict(self) -> dict[str, Any]:
        """The durable form: plain JSON values, defaults left out."""
        out: dict[str, Any] = {"name": self.name, "type": int(self.dtype)}
        for key, absent in _OPTIONAL.items():
            value = getattr(self, key)
            if value != absent:
                out[key] = value
        if self.element_type is not None:
            out["element_type"] = int(self.element_type)
        if self.properties:
            out["properties"] = dict(self.properties)
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FieldSchema:
        """The inverse of :meth:`to_dict`."""
        element = data.get("element_type")
        return cls(
            name=data["name"],
            dtype=DataType(data["type"]),
            element_type=None if element is None else DataType(element),
            properties=dict(data.get("properties", {})),
            **{key: data.get(key, absent) for key, absent in _OPTIONAL.items()},
        )


_OPTIONAL: dict[str, Any] = {
    "id": 0,
    "is_primary": False,
    "auto_id": False,
    "nullable": False,
    "default": None,
    "dim": None,
    "max_length": None,
    "max_capacity": None,
    "is_dynamic": False,
    "is_partition_key": False,
    "is_clustering_key": False,
    "since": 0,
    "until": 0,
    "struct": "",
    "is_function_output": False,
    "description": "",
}


def part_name(struct: str, part: str) -> str:
    """The name of a field of a struct array, as requests spell it."""
    return f"{struct}[{part}]"


@dataclass(frozen=True)
class StructSchema:
    """A struct array: fields whose lists have one length in each row.

    Attributes:
        id: number from the same count as those of fields.
        nullable: whether a row may be without it; so are its fields.
        max_capacity: most elements, where it was said of the whole.
    """

    name: str
    id: int = 0
    nullable: bool = False
    max_capacity: int | None = None
    description: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The durable form: plain JSON values."""
        return {
            "name": self.name,
            "id": self.id,
            "nullable": self.nullable,
            "max_capacity": self.max_capacity,
            "description": self.description,
            "properties": dict(self.properties),
        }


@dataclass(frozen=True)
class CollectionSchema:
    """All fields of a collection, ``$meta`` included when it is dynamic.

    Attributes:
        fields: in order of their ids; those of structs come with their structs.
        version: rises by one with every field that is added or dropped.
        dropped: fields of older versions, which rows in the log may still have.
        structs: in order of their ids.
        functions: that make fields of others.
    """

    fields: tuple[FieldSchema, ...]
    description: str = ""
    version: int = 0
    dropped: tuple[FieldSchema, ...] = ()
    structs: tuple[StructSchema, ...] = ()
    functions: tuple[FunctionSchema, ...] = ()

    @cached_property
    def by_name(self) -> dict[str, FieldSchema]:
        """Fields by name."""
        return {f.name: f for f in self.fields}

    @cached_property
    def by_id(self) -> dict[int, FieldSchema]:
        """Fields by id."""
        return {f.id: f for f in self.fields}

    @cached_property
    def ever(self) -> dict[int, FieldSchema]:
        """Fields by id, dropped ones too: a reader may have begun before the drop."""
        return {f.id: f for f in (*self.dropped, *self.fields)}

    @cached_property
    def primary(self) -> FieldSchema:
        """The primary key."""
        return next(f for f in self.fields if f.is_primary)

    @cached_property
    def dynamic(self) -> FieldSchema | None:
        """The ``$meta`` field, or ``None`` when unknown columns are refused."""
        return next((f for f in self.fields if f.is_dynamic), None)

    @cached_property
    def partition_key(self) -> FieldSchema | None:
        """The field that chooses partitions, if there is one."""
        return next((f for f in self.fields if f.is_partition_key), None)

    @cached_property
    def max_field_id(self) -> int:
        """The largest id ever given to a field."""
        return max(f.id for f in (*self.fields, *self.dropped))

    @cached_property
    def vectors(self) -> tuple[FieldSchema, ...]:
        """Every vector field."""
        return tuple(f for f in self.fields if f.is_vector)

    @cached_property
    def scalars(self) -> tuple[FieldSchema, ...]:
        """Every field that is not a vector, ``$meta`` included."""
        return tuple(f for f in self.fields if not f.is_vector)

    @cached_property
    def times(self) -> tuple[FieldSchema, ...]:
        """Every field of points in time."""
        return tuple(f for f in self.fields if f.dtype is DataType.TIMESTAMPTZ)

    @cached_property
    def plain(self) -> tuple[FieldSchema, ...]:
        """Every field the user declared that is in no struct."""
        return tuple(f for f in self.visible if not f.struct)

    @cached_property
    def parts(self) -> dict[str, tuple[FieldSchema, ...]]:
        """The fields of each struct by its name."""
        return {
            struct.name: tuple(f for f in self.fields if f.struct == struct.name)
            for struct in self.structs
        }

    @cached_property
    def struct_by_name(self) -> dict[str, StructSchema]:
        """Structs by name."""
        return {struct.name: struct for struct in self.structs}

    @cached_property
    def given(self) -> tuple[FieldSchema, ...]:
        """Every field the user declared whose values are given, not made."""
        return tuple(f for f in self.visible if not f.is_function_output)

    @cached_property
    def visible(self) -> tuple[FieldSchema, ...]:
        """Every field the user declared (all but ``$meta``)."""
        return tuple(f for f in self.fields if not f.is_dynamic)

    def at(self, version: int) -> CollectionSchema:
        """This schema as it was at an older version; descriptions are today's.

        Raises:
            KeyError: there has been no such version.
        """
        if version == self.version:
            return self
        if not 0 <= version < self.version:
            raise KeyError(version)
        every = sorted((*self.fields, *self.dropped), key=lambda f: f.id)
        fields = tuple(
            f
            for f in every
            if f.since <= version and (not f.until or version < f.until)
        )
        return CollectionSchema(fields, self.description, version)

    def with_field(self, field: FieldSchema) -> CollectionSchema:
        """The next version, with one more field."""
        version = self.version + 1
        added = replace(field, id=self.max_field_id + 1, since=version)
        return replace(self, fields=(*self.fields, added), version=version)

    def without_field(self, field: FieldSchema) -> CollectionSchema:
        """The next version, without a field."""
        version = self.version + 1
        return replace(
            self,
            fields=tuple(f for f in self.fields if f is not field),
            version=version,
            dropped=(*self.dropped, replace(field, until=version)),
        )

    def with_struct(
        self, struct: StructSchema, parts: tuple[FieldSchema, ...]
    ) -> CollectionSchema:
        """The next version, with one more struct."""
        version, first = self.version + 1, self.max_field_id + 1
        added = tuple(
            replace(f, id=first + i, since=version) for i, f in enumerate(parts, 1)
        )
        return replace(
            self,
            fields=(*self.fields, *added),
            version=version,
            structs=(*self.structs, replace(struct, id=first)),
        )

    def without_struct(self, struct: StructSchema) -> CollectionSchema:
        """The next version, without a struct."""
        version = self.version + 1
        gone = self.parts[struct.name]
        return replace(
            self,
            fields=tuple(f for f in self.fields if f not in gone),
            version=version,
            dropped=(*self.dropped, *(replace(f, until=version) for f in gone)),
            structs=tuple(s for s in self.structs if s is not struct),
        )

    def with_changed(self, field: FieldSchema) -> CollectionSchema:
        """The same schema, with another description of the field of this id."""
        fields = tuple(field if f.id == field.id else f for f in self.fields)
        return replace(self, fields=fields)

    def with_changed_struct(self, struct: StructSchema) -> CollectionSchema:
        """The same schema, with another description of the struct of this id."""
        structs = tuple(struct if s.id == struct.id else s for s in self.structs)
        return replace(self, structs=structs)

    def with_ids(self) -> CollectionSchema:
        """The same schema, all that it has numbered from 100.

        In order of declaration; structs come last, each followed by its fields.
        """
        number = count(FIRST_FIELD_ID)
        fields = [replace(f, id=next(number)) for f in self.fields if not f.struct]
        structs = []
        for struct in self.structs:
            structs.append(replace(struct, id=next(number)))
            parts = self.parts[struct.name]
            fields += [replace(f, id=next(number)) for f in parts]
        return replace(
            self,
            fields=tuple(fields),
            structs=tuple(structs),
            functions=tuple(
                replace(function, id=i)
                for i, function in enumerate(self.functions, FIRST_FUNCTION_ID)
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """The durable form: plain JSON values."""
        out: dict[str, Any] = {
            "fields": [f.to_dict() for f in self.fields],
            "description": self.description,
            "version": self.version,
        }
        if self.dropped:
            out["dropped"] = [f.to_dict() for f in self.dropped]
        if self.structs:
            out["structs"] = [s.to_dict() for s in self.structs]
        if self.functions:
            out["functions"] = [f.to_dict() for f in self.functions]
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CollectionSchema:
        """The inverse of :meth:`to_dict`."""
        return cls(
            fields=tuple(FieldSchema.from_dict(f) for f in data["fields"]),
            description=data["description"],
            version=data["version"],
            dropped=tuple(FieldSchema.from_dict(f) for f in data.get("dropped", ())),
            structs=tuple(StructSchema(**s) for s in data.get("structs", ())),
            functions=tuple(map(FunctionSchema.from_dict, data.get("functions", ()))),
        )

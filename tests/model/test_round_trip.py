"""What goes in comes out, bit for bit: every type, by the real client, reopened too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import DataType as MilvusType
from pymilvus import MilvusClient

from elanus.schema.types import TYPES, DataType
from elanus.serving import ServeOptions, Server
from model.values import (
    KEYS,
    KINDS,
    STRUCTS,
    TEXTS,
    Options,
    declaration,
    indexes,
    json_values,
)
from model.worlds import quick_folder

Row = dict[str, Any]
ABSENT = object()
MOST_ROWS = 5
_SMALL = (DataType.INT8, DataType.INT16, DataType.INT32)


@dataclass(frozen=True)
class Field:
    """A declared field."""

    name: str
    dtype: DataType
    options: Options
    nullable: bool = False
    default: Any = None

    def add(self, client: MilvusClient, collection: str) -> None:
        """Add it to a collection."""
        given = self.declared()
        if self.dtype is STRUCTS:
            struct, capacity = given["struct_schema"], given["max_capacity"]
            client.add_collection_struct_field(
                collection, self.name, struct, max_capacity=capacity
            )
        else:
            given["data_type"] = given.pop("datatype")
            client.add_collection_field(collection, **given)

    def declared(self) -> dict[str, Any]:
        """Arguments of ``add_field``."""
        given = declaration(self.dtype, self.options)
        given |= {"field_name": self.name, "nullable": self.nullable}
        if self.default is not None:
            small = self.dtype.row.numpy if self.dtype in _SMALL else None
            # the client takes a plain integer for an Int64
            given["default_value"] = small.type(self.default) if small else self.default
        return given

    def bits(self, value: Any) -> Any:
        """What tells a value apart; nulls become the default."""
        value = self.default if value is None or value is ABSENT else value
        return None if value is None else KINDS[self.dtype].bits(value)


@dataclass(frozen=True)
class Story:
    """What happens to one collection.

    Attributes:
        fields: those it is created with; the first is the key.
        added: those that come after the first rows.
        batches: rows written before the added fields come, and after.
        flushes: after which batches.
        dropped: a field that goes in the end.
        turns: whether the dynamic field comes, or goes, in the end.
    """

    fields: tuple[Field, ...]
    added: tuple[Field, ...]
    is_dynamic: bool
    batches: tuple[list[Row], list[Row]]
    flushes: tuple[bool, bool]
    dropped: str | None
    turns: bool


@st.composite
def fields(draw: st.DrawFn, name: str, *, is_added: bool = False) -> Field:
    """A field of any type, perhaps nullable, perhaps with a default value."""
    dtype = draw(st.sampled_from(list(KINDS)))
    kind = KINDS[dtype]
    options = draw(kind.options)
    default = None
    if TYPES[dtype].can_default and draw(st.booleans()):
        default = draw(kind.values(options))
    return Field(name, dtype, options, is_added or draw(st.booleans()), default)


@st.composite
def rows(
    draw: st.DrawFn, declared: tuple[Field, ...], keys: list[Any], is_dynamic: bool
) -> list[Row]:
    """A value for each field, null or nothing where that is allowed."""
    out = []
    for key in keys:
        row = {declared[0].name: key}
        for one in declared[1:]:
            value = draw(KINDS[one.dtype].values(one.options))
            if one.nullable or one.default is not None:
                value = draw(st.sampled_from([value, value, None, ABSENT]))
            row[one.name] = value
        if is_dynamic:
            extra = st.dictionaries(KEYS.map(lambda k: f"_{k}"), json_values() | TEXTS)
            row.update(draw(extra))
        out.append({name: value for name, value in row.items() if value is not ABSENT})
    return out


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Rows before and after fields come; the later ones replace some of the first."""
    is_text = draw(st.booleans())
    key = DataType.VARCHAR if is_text else DataType.INT64
    options = {"max_length": 48} if is_text else {}
    first = (
        Field("key", key, options),
        Field("vector", DataType.FLOAT_VECTOR, {"dim": 8}),
        *(draw(fields(f"f{i}")) for i in range(draw(st.integers(1, 5)))),
    )
    added = tuple(
        draw(fields(f"g{i}", is_added=True)) for i in range(draw(st.integers(0, 2)))
    )
    keys = draw(
        st.lists(
            KINDS[key].values(options), min_size=2, max_size=2 * MOST_ROWS, unique=True
        )
    )
    split = draw(st.integers(1, min(len(keys), MOST_ROWS)))
    again = draw(st.integers(0, split))
    is_dynamic = draw(st.booleans())
    return Story(
        first,
        added,
        is_dynamic,
        (
            draw(rows(first, keys[:split], is_dynamic)),
            draw(rows(first + added, keys[again:], is_dynamic)),
        ),
        (draw(st.booleans()), draw(st.booleans())),
        draw(st.sampled_from([None, *(one.name for one in (first + added)[2:])])),
        draw(st.booleans()),
    )


class Theatre:
    """A server on a folder, which can be reopened, and a client of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open()

    def _open(self) -> None:
        self._server = Server(ServeOptions(self._folder, port=0, http_port=0))
        uri = f"http://{self._server.address}"
        self.client = MilvusClient(uri, dedicated=True)

    def reopen(self) -> None:
        """End the server and start another."""
        self.close()
        self._open()

    def close(self) -> None:
        """End everything."""
        self.client.close()
        self._server.stop()


@contextmanager
def theatre() -> Iterator[Theatre]:
    """One in a quick folder."""
    with quick_folder() as folder:
        made = Theatre(folder / "db")
        try:
            yield made
        finally:
            made.close()


class Play:
    """A story as it is played in a collection, and what must be there."""

    def __init__(self, client: MilvusClient, name: str, story: Story) -> None:
        self.name = name
        self.story = story
        self.is_dynamic = story.is_dynamic
        self.declared: dict[str, Field] = {}
        self.expected: dict[Any, Row] = {}
        schema = client.create_schema(enable_dynamic_field=story.is_dynamic)
        key, *others = story.fields
        schema.add_field(
            key.name, MilvusType(key.dtype), is_primary=True, **key.options
        )
        for one in others:
            schema.add_field(**one.declared())
        client.create_collection(name, schema=schema)
        self._index(client, story.fields)

    def run(self, client: MilvusClient) -> None:
        """Do all that the story says, comparing what can be read in between."""
        story = self.story
        self._write(client, 0)
        for one in story.added:
            one.add(client, self.name)
        self._index(client, story.added)
        self.compare(client)
        self._write(client, 1)
        self.compare(client)
        if story.dropped is not None:
            client.drop_collection_field(self.name, story.dropped)
            del self.declared[story.dropped]
            for row in self.expected.values():
                row.pop(story.dropped, None)
        if story.turns:
            self.is_dynamic = not self.is_dynamic
            wanted = {"dynamicfield.enabled": self.is_dynamic}
            client.alter_collection_properties(self.name, wanted)
        self.compare(client)

    def _index(self, client: MilvusClient, fields: tuple[Field, ...]) -> None:
        """Take the fields for declared, and load what can be searched."""
        self.declared.update((one.name, one) for one in fields)
        wanted = client.prepare_index_params()
        for one in fields:
            for place, (kind, metric) in indexes(
                one.name, one.dtype, one.options
            ).items():
                wanted.add_index(place, index_type=kind, metric_type=metric)
        if len(wanted):
            client.create_index(self.name, wanted, sync=False)
            client.release_collection(self.name)
            client.load_collection(self.name)

    def _write(self, client: MilvusClient, act: int) -> None:
        batch = self.story.batches[act]
        if batch:
            (client.upsert if act else client.insert)(self.name, batch)
        self.expected.update((row["key"], dict(row)) for row in batch)
        if self.story.flushes[act]:
            client.flush(self.name)

    def compact(self, client: MilvusClient) -> None:
        """Have the segments merged."""
        client.flush(self.name)
        number = client.compact(self.name)
        while client.get_compaction_state(number) != "Completed":
            pass

    def compare(self, client: MilvusClient) -> None:
        """Queries and searches show every row as it was written."""
        found = client.query(self.name, filter="", limit=1000, output_fields=["*"])
        hits = client.search(
            self.name,
            [[0.0] * 8],
            anns_field="vector",
            limit=1000,
            output_fields=["*"],
        )[0]
        for shown in (found, [dict(hit["entity"]) for hit in hits]):
            assert len(shown) == len(self.expected)
            for row in shown:
                self._compare_row(dict(row), self.expected[row["key"]])

    def _compare_row(self, row: Row, expected: Row) -> None:
        """One row, field by field and dynamic key by key."""
        for name, one in self.declared.items():
            value = row.pop(name)
            assert (value is None) == (one.bits(expected.get(name)) is None), name
            if value is not None:
                bits = KINDS[one.dtype].bits(value)
                assert bits == one.bits(expected.get(name)), (one, value)
        bits = KINDS[DataType.JSON].bits
        extra = {n: v for n, v in expected.items() if n not in self.declared}
        assert bits(row) == bits(
            extra if self.story.is_dynamic and self.is_dynamic else {}
        )


def tell(stories: list[Story], *, compacting: bool = False) -> None:
    """Every story in a collection of its own, and again after reopening."""
    with theatre() as stage:
        plays = [Play(stage.client, f"c{n}", one) for n, one in enumerate(stories)]
        for one in plays:
            one.run(stage.client)
        stage.reopen()
        for one in plays:
            one.compare(stage.client)
            if compacting:
                one.compact(stage.client)
                one.compare(stage.client)


@settings(max_examples=3)
@given(st.lists(stories(), min_size=3, max_size=3))
def test_what_goes_in_comes_out(told: list[Story]) -> None:
    """In growing and sealed segments, in fields that came later, and reopened."""
    tell(told)


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=25)
@given(st.lists(stories(), min_size=3, max_size=3))
def test_what_goes_in_comes_out_for_long(told: list[Story]) -> None:
    """As above, for longer, and merged."""
    tell(told, compacting=True)


def test_every_type_takes_part() -> None:
    """A type without a row here would go untested."""
    assert set(KINDS) == set(TYPES)

"""Points in time through pymilvus' own client: texts in, texts out, in any zone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import elanus

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import DataType, MilvusClient, MilvusException

SHANGHAI, NEW_YORK = "Asia/Shanghai", "America/New_York"
TEXTS = [
    "2024-12-31 22:00:00Z",
    "2024-12-31 22:00:00",
    "2024-12-31T22:00:00.5-08:00",
    None,
    "2025-06-01T00:00:00+08",
]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[MilvusClient]:
    """A client of a new folder."""
    opened = elanus.MilvusClient(tmp_path / "app.db")
    yield opened
    opened.close()


def create(client: MilvusClient, name: str = "docs", **options: Any) -> None:
    """A loaded collection with a field of points in time."""
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("at", DataType.TIMESTAMPTZ, nullable=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="AUTOINDEX", metric_type="L2")
    index.add_index("at", index_type="STL_SORT")
    client.create_collection(name, schema=schema, index_params=index, **options)


def fill(client: MilvusClient, texts: list[str | None], start: int = 0) -> None:
    """One row for each text."""
    rows = [
        {"id": start + i, "at": text, "vector": [float(start + i)] * 4}
        for i, text in enumerate(texts)
    ]
    client.insert("docs", rows)


def told(client: MilvusClient, filter: str = "id >= 0", **options: Any) -> list[Any]:
    """The points in time of the rows that match."""
    found = client.query("docs", filter, output_fields=["at"], **options)
    return [row["at"] for row in found]


def ids(client: MilvusClient, filter: str, **options: Any) -> list[int]:
    """The keys of the rows that match."""
    return [row["id"] for row in client.query("docs", filter, **options)]


def test_texts_are_told_in_the_zone_asked_for(client: MilvusClient) -> None:
    """The collection's without one; what named no zone was of the collection's."""
    create(client, properties={"timezone": SHANGHAI})
    fill(client, TEXTS)
    for _ in range(2):
        assert told(client) == [
            "2025-01-01T06:00:00+08:00",
            "2024-12-31T22:00:00+08:00",
            "2025-01-01T14:00:00.5+08:00",
            None,
            "2025-06-01T00:00:00+08:00",
        ]
        assert told(client, "id < 2", timezone=NEW_YORK) == [
            "2024-12-31T17:00:00-05:00",
            "2024-12-31T09:00:00-05:00",
        ]
        hits = client.search(
            "docs", [[0.0] * 4], limit=2, output_fields=["at"], timezone="UTC"
        )
        assert [hit["entity"]["at"] for hit in hits[0]] == [
            "2024-12-31T22:00:00Z",
            "2024-12-31T14:00:00Z",
        ]
        client.flush("docs")
    client.alter_collection_properties("docs", {"timezone": NEW_YORK})
    assert told(client, "id == 4") == ["2025-05-31T12:00:00-04:00"]
    fill(client, ["2025-06-01 00:00:00"], start=10)
    assert told(client, "id == 10", timezone="UTC") == ["2025-06-01T04:00:00Z"]
    client.upsert(
        "docs", [{"id": 10, "at": "2025-12-01 00:00:00"}], partial_update=True
    )
    assert told(client, "id == 10") == ["2025-12-01T00:00:00-05:00"]


def test_parts_come_as_numbers(client: MilvusClient) -> None:
    """One list per row, in the order asked for, of the zone's clocks."""
    create(client)
    fill(client, TEXTS[2:4])
    parts = "year, month,day hour minute second microsecond"
    assert told(client, time_fields=parts, timezone=SHANGHAI) == [
        [2025, 1, 1, 14, 0, 0, 500000],
        None,
    ]
    hits = client.search(
        "docs", [[0.0] * 4], limit=1, output_fields=["at"], time_fields="month,year"
    )
    assert hits[0][0]["entity"]["at"] == [1, 2025]
    with pytest.raises(MilvusException, match="unsupported field for extraction: week"):
        told(client, time_fields="week")


def test_filters_understand_the_requests_zone(client: MilvusClient) -> None:
    """Of queries, searches and deletes; the collection's where none is named."""
    create(client, properties={"timezone": SHANGHAI})
    fill(client, TEXTS)
    assert ids(client, "at == ISO '2025-01-01 06:00:00'") == [0]
    assert ids(client, "at == ISO '2024-12-31 17:00:00'", timezone=NEW_YORK) == [0]
    assert ids(client, "at == ISO '2024-12-31 17:00:00'") == []
    assert ids(client, "at + INTERVAL 'P5M' == ISO '2025-05-31 22:00:00Z'") == [0]
    found = client.search(
        "docs",
        [[0.0] * 4],
        limit=5,
        filter="at >= ISO '2024-12-31 22:00:00'",
        timezone="UTC",
    )
    assert sorted(hit["id"] for hit in found[0]) == [0, 2, 4]
    client.delete("docs", filter="at == ISO '2024-12-31 22:00:00'")
    assert ids(client, "id >= 0") == [0, 2, 3, 4]
    for options in ({"timezone": "Mars/Olympus"}, {"timezone": "nowhere"}):
        with pytest.raises(MilvusException, match="unknown or invalid IANA Time Zone"):
            ids(client, "id >= 0", **options)


def test_rows_are_ordered_and_grouped_by_time(client: MilvusClient) -> None:
    """In queries and searches; the least and the greatest are told like values."""
    create(client)
    fill(client, [TEXTS[0], TEXTS[4], TEXTS[0], None])
    order = {"order_by": ["at:desc"], "limit": 3}
    assert ids(client, "at is not null", **order) == [1, 0, 2]
    groups = client.query(
        "docs", "id >= 0", group_by_fields=["at"], output_fields=["at", "count(*)"]
    )
    assert {row["at"]: row["count(*)"] for row in groups} == {
        "2024-12-31T22:00:00Z": 2,
        "2025-05-31T16:00:00Z": 1,
        None: 1,
    }
    [ends] = client.query(
        "docs", "id >= 0", output_fields=["min(at)", "max(at)"], timezone=SHANGHAI
    )
    assert ends["min(at)"] == "2025-01-01T06:00:00+08:00"
    assert ends["max(at)"] == "2025-06-01T00:00:00+08:00"
    with pytest.raises(MilvusException, match="sum does not support data type Timest"):
        client.query("docs", "id >= 0", output_fields=["sum(at)"])
    hits = client.search("docs", [[0.0] * 4], limit=4, group_by_field="at")
    assert [hit["id"] for hit in hits[0]] == [0, 1, 3]


def test_default_values_are_told_as_text(client: MilvusClient) -> None:
    """In the collection's zone; wrong ones are refused when they are declared."""
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    schema.add_field("at", DataType.TIMESTAMPTZ, default_value="2025-01-01 08:00:00")
    options: dict[str, Any] = {"schema": schema, "properties": {"timezone": SHANGHAI}}
    client.create_collection("docs", **options)
    client.create_collection("docs", **options)  # the same once more
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_index("docs", index)
    client.load_collection("docs")
    client.insert("docs", [{"id": 0, "vector": [0.0] * 4}])
    client.insert("docs", [{"id": 1, "at": None, "vector": [0.0] * 4}])
    client.add_collection_field(
        "docs",
        "end",
        DataType.TIMESTAMPTZ,
        nullable=True,
        default_value="2025-01-01T00:00:00Z",
    )
    for _ in range(2):
        rows = client.query("docs", "id >= 0", output_fields=["at", "end"])
        assert [row["at"] for row in rows] == ["2025-01-01T08:00:00+08:00"] * 2
        assert [row["end"] for row in rows] == ["2025-01-01T08:00:00+08:00"] * 2
        client.flush("docs")
    fields = client.describe_collection("docs")["fields"]
    assert [str(f["default_value"]) for f in fields if "default_value" in f] == [
        'string_data: "2025-01-01T08:00:00+08:00"\n'
    ] * 2
    for wrong, text in (
        ("soon", "invalid timestamp string: 'soon'. Does not match any known format"),
        (10, r"type \(Timestamptz\) of field \(more\) is not equal to the type\(DataT"),
    ):
        with pytest.raises(MilvusException, match=text):
            client.add_collection_field(
                "docs", "more", DataType.TIMESTAMPTZ, nullable=True, default_value=wrong
            )


def test_databases_hand_their_zone_on(client: MilvusClient) -> None:
    """To collections that are created in them and name none; later ones keep theirs."""
    create(client, "docs")
    client.alter_database_properties("default", {"timezone": NEW_YORK, "own": "1"})
    create(client, "later")
    create(client, "named", properties={"timezone": SHANGHAI})
    client.alter_database_properties("default", {"timezone": "Europe/Berlin"})
    zones = [
        client.describe_collection(name)["properties"]["timezone"]
        for name in ("docs", "later", "named")
    ]
    assert zones == ["UTC", NEW_YORK, SHANGHAI]
    told = client.describe_database("default")
    assert told == {"name": "default", "timezone": "Europe/Berlin", "own": "1"}
    client.drop_database_properties("default", ["own", "never"])
    assert "own" not in client.describe_database("default")
    wrong: list[tuple[dict[str, str], str]] = [
        ({}, "alter database with empty properties and delete keys, expected to set"),
        ({"timezone": "Mars/Olympus"}, "unknown or invalid IANA Time Zone ID: Mars"),
        ({"cipher.key": "x"}, "can not alter cipher related properties"),
    ]
    for properties, text in wrong:
        with pytest.raises(MilvusException, match=text):
            client.alter_database_properties("default", properties)
    with pytest.raises(MilvusException, match=r"database not found\[database=gone\]"):
        client.alter_database_properties("gone", {"own": "1"})


def test_what_a_field_of_points_in_time_does_not_take(client: MilvusClient) -> None:
    """Other values, and other indexes."""
    create(client)
    with pytest.raises(MilvusException, match="got invalid timestamptz string 'x'"):
        fill(client, ["2025-01-01T00:00:00Z", "x"])
    assert ids(client, "id >= 0") == []
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("at", DataType.TIMESTAMPTZ)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    client.create_collection("other", schema=schema)
    with pytest.raises(MilvusException, match=r"the num_rows \(0\) of field \(at\) is"):
        client.insert("other", [{"id": 1, "at": None, "vector": [0.0] * 4}])
    client.drop_index("docs", "at")
    for kind, text in (
        ("INVERTED", "INVERTED are not supported on Timestamptz field"),
        ("BITMAP", "bitmap index are only supported on bool, int, string and array"),
    ):
        index = client.prepare_index_params()
        index.add_index("at", index_type=kind)
        with pytest.raises(MilvusException, match=text):
            client.create_index("docs", index)

"""Points in time: texts, zones and columns, against Python's own calendar."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus.errors import InvalidParameter, RequestError
from elanus.schema.check import check_schema
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.time_texts import part_names, parts_of_times, texts_of_times
from elanus.schema.timestamptz import TIMESTAMP, encode_times
from elanus.schema.types import DataType
from elanus.schema.zones import check_zone, offsets_at

FIELD = FieldSchema("at", DataType.TIMESTAMPTZ, nullable=True)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = ["UTC", "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe"]
MOMENTS = st.datetimes(
    datetime(1, 1, 4), datetime(9999, 12, 28), timezones=st.just(UTC)
)
# Times that New York's clocks showed twice, or never.
SWITCHES = [datetime(2025, 3, 9, 7, tzinfo=UTC), datetime(2025, 11, 2, 6, tzinfo=UTC)]
NEAR_SWITCHES = st.builds(
    lambda at, seconds: at + timedelta(seconds=seconds),
    st.sampled_from(SWITCHES),
    st.integers(-7200, 7200),
)


def micros(moment: datetime) -> int:
    """Microseconds since 1970 in UTC."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def encoded(values: Any, zone: str = "UTC") -> list[int | None]:
    """A column of points in time as plain numbers."""
    found: list[int | None] = encode_times(FIELD, values, zone).to_pylist()
    return found


@given(st.lists(st.none() | MOMENTS | NEAR_SWITCHES), st.sampled_from(ZONES))
def test_a_column_told_in_any_zone_is_the_same_when_it_comes_back(
    moments: list[datetime | None], zone: str
) -> None:
    """Texts are the zone's clocks with their offset, and mean the same instants."""
    stored = pa.array([None if m is None else micros(m) for m in moments], pa.int64())
    texts = texts_of_times(stored, zone).to_pylist()
    for moment, text in zip(moments, texts, strict=True):
        if moment is None:
            assert text is None
            continue
        local = moment.astimezone(ZoneInfo(zone))
        assert text.startswith(local.strftime("%Y").zfill(4))
        if local.utcoffset() == timedelta(
            minutes=local.utcoffset() // timedelta(minutes=1)  # type: ignore[operator]
        ):
            assert datetime.fromisoformat(text) == moment
            assert encoded([text]) == [micros(moment)]
    offsets = offsets_at(stored.fill_null(0).to_numpy(), zone)
    for moment, offset in zip(moments, offsets.tolist(), strict=True):
        if moment is not None:
            ours = timedelta(microseconds=offset)
            assert ours == moment.astimezone(ZoneInfo(zone)).utcoffset()


@given(st.lists(MOMENTS, min_size=1), st.sampled_from(ZONES))
def test_parts_are_what_the_zones_clocks_show(
    moments: list[datetime], zone: str
) -> None:
    """Year, month, day and the rest, one number each."""
    names = part_names("year, month day,hour minute,second  microsecond")
    stored = pa.array(list(map(micros, moments)), pa.int64())
    found = parts_of_times(stored, zone, names).to_pylist()
    for moment, parts in zip(moments, found, strict=True):
        local = moment.astimezone(ZoneInfo(zone))
        assert parts == [getattr(local, name) for name in names]


@given(st.datetimes(datetime(1950, 1, 1), datetime(2060, 1, 1)))
def test_a_text_without_an_offset_is_of_the_zone(moment: datetime) -> None:
    """As Python has it, where the zone's clocks showed it once."""
    zone = ZoneInfo("America/New_York")
    early, late = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    [found] = encoded([moment.isoformat(sep=" ")], "America/New_York")
    assert found in (micros(early), micros(late))


def test_texts_are_those_of_milvus() -> None:
    """RFC 3339, a blank for the T, short offsets; more digits than six are cut off."""
    assert encoded(
        [
            "2025-05-01T23:59:59.123+08:00",
            "2025-05-01 15:59:59Z",
            "2025-05-01T10:59:59-05",
            "1970-01-01T00:00:00.1234567",
            "0000-01-01 00:00:00",
            "9999-12-31T23:59:59",
            None,
        ]
    ) == [
        1746115199123000,
        1746115199000000,
        1746115199000000,
        123456,
        -62167219200000000,
        253402300799000000,
        None,
    ]


def test_years_beyond_the_calendar_are_told() -> None:
    """Year 0 and year 10000 are texts like any other."""
    edges = pa.array([-62167219200000000, 253402299965000000], pa.int64())
    assert texts_of_times(edges, "UTC").to_pylist() == [
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:46:05Z",
    ]
    assert texts_of_times(edges, "Asia/Shanghai")[1].as_py() == (
        "10000-01-01T07:46:05+08:00"
    )
    assert texts_of_times(edges[:0], "Asia/Shanghai").to_pylist() == []


@pytest.mark.parametrize(
    "text",
    [
        "invalid",
        "",
        "2025-04-31 00:00:00",
        "2025-02-29 00:00:00",
        "2025-01-01T24:00:00Z",
        "2025-01-01T00:00:00+24:00",
        "2025-01-01T00:00:00-12:01",
        "2025-01-01T00:00:00+10:60",
        "2025-01-01",
        "2025-1-1T00:00:00Z",
        "2025-01-01T00:00:00 Z",
        "2025-01-01T00:00:00Z\n",
    ],
)
def test_what_is_no_point_in_time_is_shown_in_the_error(text: str) -> None:
    """Among good rows, too."""
    with pytest.raises(InvalidParameter) as caught:
        encode_times(FIELD, ["2025-01-01T00:00:00Z", None, text])
    assert f"got invalid timestamptz string '{text}': invalid timezone" in str(
        caught.value
    )


def test_dates_of_python_numpy_pandas_and_arrow_are_taken() -> None:
    """What names no zone is of the collection's; a missing value is null."""
    aware = datetime(2025, 1, 1, tzinfo=timezone(timedelta(hours=8)))
    noon = 1735660800000000
    shanghai = "Asia/Shanghai"
    given_values: list[Any] = [
        [aware, None],
        [datetime(2025, 1, 1), np.datetime64("NaT")],
        np.array(["2025-01-01", "NaT"], "M8[ns]"),
        pd.Series([pd.Timestamp("2025-01-01"), pd.NaT]),
        pd.Series(["2025-01-01 00:00:00", None]),
        pa.array([datetime(2025, 1, 1), None], pa.timestamp("ms")),
        pa.array([noon, None], pa.timestamp("us", "America/New_York")),
        pa.chunked_array([pa.array(["2025-01-01T00:00:00", None])]),
        np.array(["2025-01-01T00:00:00+08:00", None], object),
    ]
    for values in given_values:
        assert encoded(values, shanghai) == [noon, None], values
    assert encode_times(FIELD, [None]).to_pylist() == [None]
    assert encode_times(FIELD, [aware]).view(TIMESTAMP)[0].as_py() == aware


@pytest.mark.parametrize("values", [[1], [1.5], ["x", 1], b"x", {"a": 1}, [True], 5])
def test_other_values_are_refused(values: Any) -> None:
    """Numbers could mean anything from seconds to nanoseconds."""
    with pytest.raises(InvalidParameter, match="data must be a string array"):
        encode_times(FIELD, values)


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "../etc/passwd", "America", "X" * 300]
)
def test_zones_that_there_are_not_are_named(name: str) -> None:
    """Whatever a machine's folder of zones makes of the name."""
    with pytest.raises(InvalidParameter, match="unknown or invalid IANA Time Zone ID"):
        check_zone(name)


def test_parts_that_there_are_not_are_named() -> None:
    """With Milvus' spelling."""
    with pytest.raises(
        InvalidParameter, match="unsupported field for extraction: week"
    ):
        part_names("year,week")


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("is_partition_key", "the data type of partition key should be Int64 or VarC"),
        ("is_clustering_key", "clustering key field at has unsupported data type Time"),
    ],
)
def test_points_in_time_are_no_keys(flag: str, text: str) -> None:
    """Neither of partitions nor of clusters."""
    schema = CollectionSchema(
        (
            FieldSchema("id", DataType.INT64, is_primary=True),
            FieldSchema("vector", DataType.FLOAT_VECTOR, dim=4),
            replace(FIELD, nullable=False, **{flag: True}),
        )
    )
    with pytest.raises(RequestError, match=text):
        check_schema(schema, "docs")

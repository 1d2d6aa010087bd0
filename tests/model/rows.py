"""Random rows and filters, all drawn from one seeded generator."""

from __future__ import annotations

from typing import Any

import numpy as np

from elanus.schema.types import DataType
from model.oracle import (
    DIM,
    REQUIRED,
    SCALARS,
    Filter,
    Key,
    Oracle,
    Row,
    Test,
    Update,
    Values,
)

LABELS = ("alpha", "beta", "al", "", "größe", 'q"uote')
COLORS = ("red", "green", None)
KEY_SPAN = 40


def key_of(number: int, key_type: DataType) -> Key:
    """The key with this number; negative numbers make negative or odd keys."""
    return number if key_type is DataType.INT64 else f"k{number:+04d}é"


def draw_keys(
    rng: np.random.Generator, key_type: DataType, count: int, start: int = -3
) -> list[Key]:
    """Keys from a small range, so that many of them repeat."""
    numbers = rng.integers(start, start + KEY_SPAN, count).tolist()
    return [key_of(number, key_type) for number in numbers]


def draw_values(rng: np.random.Generator, owner: int) -> Values:
    """Every scalar of one row, nulls and absent ones as ``None``."""

    def maybe(value: Any) -> Any:
        return value if rng.random() < 0.7 else None

    info = {"n": int(rng.integers(10)), "deep": {"s": str(rng.choice(["x", "y"]))}}
    return {
        "owner": owner,
        "topic": int(rng.integers(6)),
        "level": maybe(int(rng.integers(-128, 128))),
        "label": str(rng.choice(LABELS)),
        "price": maybe(float(np.round(rng.normal(), 3))),
        "flag": bool(rng.integers(2)),
        "info": maybe(info if rng.random() < 0.8 else {"other": [1, None, "z"]}),
        "tags": rng.integers(0, 5, rng.integers(0, 4)).tolist(),
        "color": COLORS[rng.integers(3)],
    }


def draw_rows(
    rng: np.random.Generator,
    oracle: Oracle,
    keys: list[Key],
    partition: str,
    owner: int = 0,
) -> list[Row]:
    """New rows of these keys; vectors are never zero and never alike, some are none."""
    return [
        Row(
            key,
            partition,
            next(oracle.counter),
            _draw_vector(rng, key),
            draw_values(rng, owner),
        )
        for key in keys
    ]


def _draw_vector(rng: np.random.Generator, key: Key) -> np.ndarray | None:
    vector = rng.normal(size=DIM).astype(np.float32)
    return None if isinstance(key, str) and rng.random() < 0.2 else vector


def draw_update(
    rng: np.random.Generator,
    oracle: Oracle,
    keys: list[Key],
    partition: str,
    owner: int = 0,
) -> Update:
    """Some fields of these keys, mostly enough for those that have no row yet."""
    rows = draw_rows(rng, oracle, keys, partition or "_default", owner)
    names = {name for name in ("vector", *SCALARS) if rng.random() < 0.3}
    if rng.random() < 0.8:
        names |= REQUIRED
    tags_op = str(rng.choice(["", "ARRAY_APPEND", "ARRAY_REMOVE"]))
    ops = tags_op if "tags" in names else ""
    return Update(rows, tuple(sorted(names)) or ("level",), partition, ops)


def columns_of(rows: list[Row], *, use_default: bool = False) -> dict[str, Any]:
    """The rows as columns for insert; ``label`` is left out to get its default."""
    vectors = [row.vector for row in rows]
    columns: dict[str, Any] = {
        "id": [row.key for row in rows],
        "vector": vectors if any(v is None for v in vectors) else np.stack(vectors),
    }
    for name in rows[0].values:
        if not (name == "label" and use_default):
            columns[name] = [row.values[name] for row in rows]
    return columns


def with_default(rows: list[Row]) -> list[Row]:
    """The same rows with the label that the schema fills in."""
    return [
        Row(r.key, r.partition, r.order, r.vector, {**r.values, "label": "none"})
        for r in rows
    ]


def draw_filter(rng: np.random.Generator, key_type: DataType) -> Filter:
    """One of many expressions, now and then two joined."""
    first = _simple(rng, key_type)
    draw = rng.random()
    if draw < 0.6:
        return first
    second = _simple(rng, key_type)
    if draw < 0.8:
        return Filter(
            f"({first.text}) and ({second.text})",
            lambda v: first.passes(v) and second.passes(v),
        )
    return Filter(
        f"({first.text}) or ({second.text})",
        lambda v: first.passes(v) or second.passes(v),
    )


def owned_by(owner: int, where: Filter | None = None) -> Filter:
    """Only rows of one owner."""
    if where is None or not where.text:
        return Filter(f"owner == {owner}", lambda v: v["owner"] == owner)
    return Filter(
        f"owner == {owner} and ({where.text})",
        lambda v: v["owner"] == owner and where.passes(v),
    )


def _simple(rng: np.random.Generator, key_type: DataType) -> Filter:
    makers = (_of_numbers, _of_nulls, _of_texts, _of_json, _of_arrays, _of_keys)
    choices = makers[rng.integers(len(makers))](rng, key_type)
    text, passes = choices[rng.integers(len(choices))]
    return Filter(text, passes)


Choices = list[tuple[str, Test]]


def _of_numbers(rng: np.random.Generator, key_type: DataType) -> Choices:
    a, b = (int(n) for n in rng.integers(0, 6, 2))
    return [
        (f"topic == {a}", lambda v: v["topic"] == a),
        (f"topic != {a}", lambda v: v["topic"] != a),
        (f"topic in [{a}, {b}]", lambda v: v["topic"] in (a, b)),
        (f"topic not in [{a}, {b}]", lambda v: v["topic"] not in (a, b)),
        (f"{a} <= topic < {a + b + 1}", lambda v: a <= v["topic"] <= a + b),
        (f"topic + 1 > {a}", lambda v: v["topic"] + 1 > a),
        (f"topic % 3 == {a % 3}", lambda v: v["topic"] % 3 == a % 3),
        ("flag == true", lambda v: v["flag"]),
        ("topic >= 0", lambda v: True),
        ("topic > 1000", lambda v: False),
    ]


def _of_nulls(rng: np.random.Generator, key_type: DataType) -> Choices:
    a, x = int(rng.integers(-128, 128)), float(np.round(rng.normal(), 2))
    return [
        (f"level > {a}", lambda v: v["level"] is not None and v["level"] > a),
        (f"not (level > {a})", lambda v: v["level"] is not None and v["level"] <= a),
        ("level is null", lambda v: v["level"] is None),
        ("price is not null", lambda v: v["price"] is not None),
        (f"price < {x}", lambda v: v["price"] is not None and v["price"] < x),
        (
            f"level is null or level < {a}",
            lambda v: v["level"] is None or v["level"] < a,
        ),
    ]


def _of_texts(rng: np.random.Generator, key_type: DataType) -> Choices:
    label = str(rng.choice(LABELS))
    quoted = label.replace('"', '\\"')
    return [
        (f'label == "{quoted}"', lambda v: v["label"] == label),
        ('label like "al%"', lambda v: v["label"].startswith("al")),
        ('label in ["beta", "none"]', lambda v: v["label"] in ("beta", "none")),
        (f'label > "{quoted}"', lambda v: v["label"].encode() > label.encode()),
        ('color == "red"', lambda v: v["color"] == "red"),
        ("exists color", lambda v: v["color"] is not None),
        (
            'color in ["red", "green"]',
            lambda v: v["color"] in ("red", "green"),
        ),
    ]


def _of_json(rng: np.random.Generator, key_type: DataType) -> Choices:
    a = int(rng.integers(10))

    def number(v: Values) -> int:
        found = (v["info"] or {}).get("n", -1)
        assert isinstance(found, int)
        return found

    return [
        (f'info["n"] >= {a}', lambda v: number(v) >= a),
        (f'info["n"] in [{a}, 3]', lambda v: number(v) in (a, 3)),
        ('exists info["n"]', lambda v: number(v) >= 0),
        (
            'info["deep"]["s"] == "x"',
            lambda v: (v["info"] or {}).get("deep", {}).get("s") == "x",
        ),
    ]


def _of_arrays(rng: np.random.Generator, key_type: DataType) -> Choices:
    a, b = (int(n) for n in rng.integers(0, 5, 2))
    return [
        (f"array_contains(tags, {a})", lambda v: a in v["tags"]),
        (
            f"array_contains_any(tags, [{a}, {b}])",
            lambda v: {a, b} & {*v["tags"]} != set(),
        ),
        (f"array_contains_all(tags, [{a}, {b}])", lambda v: {a, b} <= {*v["tags"]}),
        (f"array_length(tags) == {a}", lambda v: len(v["tags"]) == a),
    ]


def _of_keys(rng: np.random.Generator, key_type: DataType) -> Choices:
    keys = draw_keys(rng, key_type, 5)
    listed = ", ".join(_literal(key) for key in keys)
    one = keys[0]
    return [
        (f"id in [{listed}]", lambda v: v["id"] in keys),
        (f"id == {_literal(one)}", lambda v: v["id"] == one),
        (f"id <= {_literal(one)}", lambda v: v["id"] <= one),
        (f"id not in [{listed}]", lambda v: v["id"] not in keys),
    ]


def _literal(key: Key) -> str:
    return str(key) if isinstance(key, int) else f'"{key}"'

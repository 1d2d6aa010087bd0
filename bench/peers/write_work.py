"""A client's writes: batches of rows with a vector and three scalars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pymilvus import DataType, MilvusClient

from bench.setup import BATCH

WORDS = ("near", "far", "red", "green", "small", "large", "old", "new")


def collection_of(dim: int) -> str:
    """Name of the collection whose vectors have so many dimensions."""
    return f"writes_{dim}"


def create(client: MilvusClient, dim: int) -> None:
    """Make it, without an index: what a build costs is not a write's."""
    schema = client.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    schema.add_field("rank", DataType.INT64)
    schema.add_field("price", DataType.DOUBLE)
    schema.add_field("title", DataType.VARCHAR, max_length=100)
    client.create_collection(collection_of(dim), schema=schema, num_shards=1)


def batches_of_rows(
    vectors: np.ndarray, dim: int, keys: np.ndarray
) -> list[list[dict[str, Any]]]:
    """Rows of these keys, in batches of 1,000.

    Args:
        vectors: rows of 384 numbers; a longer vector is made of several.
    """
    repeats = -(-dim // vectors.shape[1])
    at = (keys[:, None] + np.arange(repeats)) % len(vectors)
    matrix = vectors[at].reshape(len(keys), -1)[:, :dim]
    rows = [
        {
            "id": key,
            "vector": vector,
            "rank": key * 7 % 1_000,
            "price": key / 4,
            "title": f"{WORDS[key % 8]} {WORDS[key // 8 % 8]} thing number {key}",
        }
        for key, vector in zip(keys.tolist(), np.ascontiguousarray(matrix), strict=True)
    ]
    return [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]


def writing(
    client: MilvusClient, kind: str, dim: int, vectors: np.ndarray, keys: np.ndarray
) -> list[Callable[[], object]]:
    """The calls that insert, upsert or delete the rows of these keys."""
    name = collection_of(dim)
    if kind == "delete":
        parts = [keys[at : at + BATCH].tolist() for at in range(0, len(keys), BATCH)]
        return [lambda part=part: client.delete(name, ids=part) for part in parts]
    write = getattr(client, kind)
    return [
        lambda batch=batch: write(name, batch)
        for batch in batches_of_rows(vectors, dim, keys)
    ]

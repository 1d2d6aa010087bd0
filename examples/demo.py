"""A tour of the embedded database over real sentences; ``make demo`` runs it.

Owns nothing but the story: load, index, search by meaning with filters, change, reopen,
and a picture of recall against speed. Writes ``demo.db`` and ``demo.png`` into the
current folder and replaces what an earlier run left there.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import elanus
import sentences

FOLDER = Path("demo.db")
PICTURE = Path("demo.png")
HNSW = {"M": 16, "efConstruction": 200}
LIMIT = 10
EFFORTS = (10, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
PICTURE_ROWS = 20_000
PICTURE_QUERIES = 500
# Held-out sentences that have something to find, by their first words.
QUESTIONS = (
    ("watercolor", None),
    ("wage claim", None),
    ("saturation", None),
    ("saturation", "source == 'wordnet-verb' and words < 15"),
    ("In general, the LRU cache", "source == 'python-docs'"),
)


@dataclass(frozen=True)
class Curve:
    """Recall@10 and queries per second of one thread at each effort."""

    efforts: tuple[int, ...]
    recalls: list[float]
    rates: list[float]
    exact_rate: float


def say(text: str = "") -> None:
    """Print at once, so that progress shows in a pipe, too."""
    print(text, flush=True)


@contextmanager
def timed(title: str) -> Iterator[None]:
    """A line with the title and the time that its block took."""
    begin = time.perf_counter()
    print(f"  {title} ... ", end="", flush=True)
    yield
    say(f"{time.perf_counter() - begin:.2f} s")


def show_progress(done: int, total: int) -> None:
    """A bar that grows in place; in a pipe, one line when it is full."""
    if sys.stdout.isatty() or done == total:
        bar = "#" * (30 * done // total)
        print(f"\r  [{bar:<30}] {done:>5,} sentences", end="", flush=True)
    if done == total:
        say()


def load_sentences(db: Any) -> None:
    """A collection of sentences, their vectors, and what is known about them."""
    documents = sentences.load()
    docs = db.create_collection("sentences", dim=sentences.DIM, metric="COSINE")
    step = 250
    for start in range(0, len(documents), step):
        part = documents.columns.slice(start, step)
        docs.insert(
            {
                "id": part["id"].to_numpy(),
                "vector": documents.vectors[start : start + step],
                "text": part["text"].to_pylist(),
                "source": part["source"].to_pylist(),
                "topic": part["topic"].to_numpy(),
                "words": part["words"].to_numpy(),
            }
        )
        show_progress(start + part.num_rows, len(documents))
    with timed("build an HNSW index"):
        docs.create_index("vector", index_type="HNSW", metric="COSINE", params=HNSW)
        docs.optimize()


def show_hits(docs: Any, query: np.ndarray, text: str, condition: str | None) -> None:
    """The sentences nearest in meaning to one sentence, below it."""
    hits = docs.search(
        query, limit=3, filter=condition or "", output_fields=["text", "source"]
    )
    say(f"\n  {text[:96]}")
    if condition:
        say(f"  where {condition}")
    for row in hits.to_pylist():
        say(f"    {row['score']:.2f}  {row['text'][:76]:<76}  {row['source']}")


def ask(db: Any) -> None:
    """Search with sentences that the collection does not hold, some with a filter."""
    docs = db.collection("sentences")
    queries = sentences.load("query")
    texts = queries.texts
    for beginning, condition in QUESTIONS:
        at = next(i for i, text in enumerate(texts) if text.startswith(beginning))
        show_hits(docs, queries.vectors[at], texts[at], condition)


def change(db: Any) -> int:
    """Delete the shortest sentences; the count that must survive reopening."""
    docs = db.collection("sentences")
    before = docs.count()
    docs.delete(filter="words < 8")
    after = docs.count()
    say(f"  {before:,} sentences, {after:,} after deleting where words < 8")
    return int(after)


def recall(found: np.ndarray, true: np.ndarray) -> float:
    """Share of the true neighbours (nq, k) that were found."""
    pairs = zip(found, true, strict=True)
    return float(np.mean([len(np.intersect1d(f, t)) / len(t) for f, t in pairs]))


def one_by_one(
    docs: Any, queries: np.ndarray, params: dict[str, int]
) -> tuple[np.ndarray, float]:
    """Ids of the neighbours, (nq, k), and queries per second, one query a call."""
    docs.search(queries[0], limit=LIMIT, params=params)
    begin = time.perf_counter()
    found = [docs.search(q, limit=LIMIT, params=params)["id"] for q in queries]
    rate = len(queries) / (time.perf_counter() - begin)
    return np.stack([ids.to_numpy() for ids in found]), rate


def measure(db: Any) -> Curve:
    """Recall against speed, over vectors mixed from the sentences."""
    vectors = sentences.mixed(sentences.load().vectors, PICTURE_ROWS, seed=1)
    queries = sentences.mixed(sentences.load("query").vectors, PICTURE_QUERIES, seed=2)
    docs = db.create_collection("mixed", dim=sentences.DIM, metric="COSINE")
    with timed(f"insert {PICTURE_ROWS:,} vectors"):
        for start in range(0, PICTURE_ROWS, 1000):
            part = vectors[start : start + 1000]
            docs.insert({"id": np.arange(start, start + len(part)), "vector": part})
        docs.flush()
    with timed("search exactly, before there is an index"):
        true, exact_rate = one_by_one(docs, queries, {})
    with timed("build an HNSW index"):
        docs.create_index("vector", index_type="HNSW", metric="COSINE", params=HNSW)
        docs.optimize()
    recalls, rates = [], []
    with timed(f"search with ef from {EFFORTS[0]} to {EFFORTS[-1]}"):
        for ef in EFFORTS:
            found, rate = one_by_one(docs, queries, {"ef": ef})
            recalls.append(recall(found, true))
            rates.append(rate)
    return Curve(EFFORTS, recalls, rates, exact_rate)


def show_curve(curve: Curve) -> None:
    """The measured points as text."""
    say("\n      ef   recall@10   queries/s")
    for ef, share, rate in zip(curve.efforts, curve.recalls, curve.rates, strict=True):
        say(f"    {ef:>4}   {share:>9.3f}   {rate:>9,.0f}")
    say(f"   exact   {1:>9.3f}   {curve.exact_rate:>9,.0f}\n")


def draw(curve: Curve) -> None:
    """The measured points as a picture."""
    try:
        import matplotlib
    except ImportError:
        say("  no picture: install matplotlib, or elanus[demo]")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), dpi=150, layout="constrained")
    axes.axhline(curve.exact_rate, color="#b0413e", linestyle="--", linewidth=1.4)
    axes.annotate(
        f"exact search: {curve.exact_rate:,.0f} queries/s, recall 1",
        (0.01, curve.exact_rate),
        xycoords=("axes fraction", "data"),
        xytext=(0, 5),
        textcoords="offset points",
        color="#b0413e",
    )
    axes.plot(curve.recalls, curve.rates, "o-", color="#1f5c99", linewidth=2)
    for ef, *point in zip(curve.efforts, curve.recalls, curve.rates, strict=True):
        axes.annotate(
            f"ef {ef}",
            point,
            xytext=(6, 5),
            textcoords="offset points",
            fontsize=8,
            color="#444444",
        )
    axes.set_yscale("log")
    axes.set_ylim(curve.exact_rate / 1.6, max(curve.rates) * 1.6)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("recall@10: share of the ten true neighbours found")
    axes.set_ylabel("queries per second, one thread (log scale)")
    axes.set_title(
        f"HNSW over {PICTURE_ROWS:,} sentence-like vectors of {sentences.DIM} "
        "dimensions:\nthe effort `ef` buys recall with speed",
        loc="left",
    )
    axes.grid(True, which="major", color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE)
    say(f"  picture: {PICTURE.resolve()}")


def main() -> int:
    """Run the tour; the exit status says whether reopening found every row."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    say(f"1. Open {FOLDER}/ and load sentences")
    with elanus.open(FOLDER) as db:
        load_sentences(db)
        say("\n2. Search by meaning")
        ask(db)
        say("\n3. Delete by filter")
        expected = change(db)
    say("\n4. Close and reopen")
    with timed("open"):
        db = elanus.open(FOLDER)
    with db:
        found = db.collection("sentences").count()
        say(f"  {found:,} sentences, as before: {'yes' if found == expected else 'NO'}")
        say(f"\n5. Recall against speed, over {PICTURE_ROWS:,} vectors mixed from them")
        curve = measure(db)
    show_curve(curve)
    draw(curve)
    return 0 if found == expected else 1


if __name__ == "__main__":
    sys.exit(main())

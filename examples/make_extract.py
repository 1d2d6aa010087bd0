"""Make ``examples/data/sentences.parquet`` from the full set of sentences.

Owns how the committed extract was drawn, so that anybody who has the full files can
repeat it byte for byte:

    python examples/make_extract.py text20k.parquet text20k-queries.parquet

The extract holds 50 sentences of each of the 40 largest topics as documents and 100
other sentences of these topics as queries. Sentences are drawn with a fixed seed;
glosses of abusive and obscene words are left out.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

OUT = Path(__file__).parent / "data" / "sentences.parquet"
SEED = 2
TOPICS = 40
DOCUMENTS_PER_TOPIC = 50
QUERIES = 100
WORDS = range(5, 41)
# Dictionaries mark such entries themselves.
UNFIT = re.compile(
    r"offensive|slur\b|vulgar|obscene|disparag|derogat|taboo|ethnic|racial|sexual"
    r"|genital|penis|vagina|rape\b|prostitut|suicid|genocid|undesirable",
    re.IGNORECASE,
)


def fit_rows(sentences: pa.Table) -> pa.Table:
    """The rows of a readable length that are fit for everybody's eyes."""
    texts = sentences["text"].to_pylist()
    words = sentences["words"].to_pylist()
    fit = [
        w in WORDS and not UNFIT.search(t) for t, w in zip(texts, words, strict=True)
    ]
    return sentences.filter(pa.array(fit))


def draw(
    sentences: pa.Table, queries: pa.Table, rng: np.random.Generator
) -> tuple[pa.Table, pa.Table]:
    """The drawn documents, in their original order, and the drawn queries."""
    counts = sentences["topic"].value_counts().to_pylist()
    counts.sort(key=lambda row: (-row["counts"], row["values"]))
    kept_topics = [row["values"] for row in counts[:TOPICS]]
    topic = sentences["topic"].to_numpy()
    offsets = [
        rng.choice(np.flatnonzero(topic == t), DOCUMENTS_PER_TOPIC, replace=False)
        for t in kept_topics
    ]
    documents = sentences.take(np.sort(np.concatenate(offsets)))
    of_topics = queries.filter(pc.is_in(queries["topic"], pa.array(kept_topics)))
    chosen = np.sort(rng.choice(of_topics.num_rows, QUERIES, replace=False))
    return documents, of_topics.take(chosen)


def with_role(rows: pa.Table, role: str) -> pa.Table:
    """The columns of the extract, numbered from 0, with ``role`` on every row."""
    return pa.table(
        {
            "id": pa.array(range(rows.num_rows), pa.int64()),
            "role": pa.array([role] * rows.num_rows).dictionary_encode(),
            "text": rows["text"].combine_chunks(),
            "source": rows["source"].combine_chunks().dictionary_encode(),
            "topic": rows["topic"].cast(pa.int64()).combine_chunks(),
            "words": rows["words"].combine_chunks(),
            "embedding": rows["embedding"].combine_chunks(),
        }
    )


def main() -> None:
    """Read the full files named on the command line, write the extract."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sentences", type=Path, help="the full set, a parquet file")
    parser.add_argument("queries", type=Path, help="other sentences of the same kind")
    arguments = parser.parse_args()
    documents, queries = draw(
        fit_rows(pq.read_table(arguments.sentences)),
        fit_rows(pq.read_table(arguments.queries)),
        np.random.default_rng(SEED),
    )
    extract = pa.concat_tables(
        [with_role(documents, "document"), with_role(queries, "query")],
    ).unify_dictionaries()
    OUT.parent.mkdir(exist_ok=True)
    pq.write_table(extract, OUT, compression="zstd", compression_level=19)
    print(f"{OUT}: {extract.num_rows} rows, {OUT.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()

"""How long a database of many rows takes to open, in a process that never saw it."""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median

import numpy as np

from bench.figures import Figure
from bench.setup import Setup, ranked_schema

BAR_S = 1.0
DIM = 32
LOAD_BATCH = 10_000
OPEN = """
import json, sys, time
import numpy as np
import elanus
begin = time.perf_counter()
db = elanus.open(sys.argv[1])
opened = time.perf_counter()
docs = db.collection("docs")
hits = docs.search(np.ones(int(sys.argv[2]), np.float32), limit=10)
found = time.perf_counter()
print(json.dumps([opened - begin, found - opened, docs.count(), hits.num_rows]))
db.close()
"""


def measure(setup: Setup) -> list[Figure]:
    """Seconds from the call to an open database, and to the first answer."""
    rows = setup.scale.open_rows
    _write(setup, rows)
    runs = [_open(setup) for _ in range(setup.scale.repeats)]
    assert all(run[2] == rows and run[3] == 10 for run in runs), runs
    first_answer = median(run[1] for run in runs)
    return [
        Figure(
            "open",
            f"{rows:,} rows of {DIM} dimensions",
            median(run[0] for run in runs),
            "s",
            BAR_S,
            at_least=False,
            note=f"first search {first_answer:.2f} s more",
            comparable=setup.scale.is_full,
        )
    ]


def _write(setup: Setup, rows: int) -> None:
    rng = np.random.default_rng(5)
    with setup.open("open.db") as db:
        docs = db.create_collection("docs", schema=ranked_schema(DIM))
        for start in range(0, rows, LOAD_BATCH):
            keys = np.arange(start, min(start + LOAD_BATCH, rows))
            vectors = rng.random((len(keys), DIM), np.float32)
            docs.insert({"id": keys, "vector": vectors, "rank": keys})
        params = {"nlist": 1024}
        docs.create_index("vector", index_type="IVF_FLAT", metric="L2", params=params)
        docs.optimize()


def _open(setup: Setup) -> list[float]:
    folder = str(setup.folder / "open.db")
    output = subprocess.run(
        [sys.executable, "-c", OPEN, folder, str(DIM)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return list(json.loads(output))

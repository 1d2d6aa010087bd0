"""Benchmarks: each figure as a ratio to a named peer in the same run, with its bar.

``python -m bench.run`` measures them all; ``bench/README.md`` has the recipe. Below the
runner every module measures one subject and offers ``measure(setup) -> list[Figure]``.
"""

from __future__ import annotations

import os

# Read when faiss is imported: OpenMP threads that spin while they wait slow all others.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

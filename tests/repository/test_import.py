"""What `import elanus` costs a program that may not even use it."""

from __future__ import annotations

import subprocess
import sys

BUDGET_S = 0.2
RUNS = 5
TIMED = """
import time
begin = time.perf_counter()
import elanus
print(time.perf_counter() - begin)
"""
LOADED = "import sys, elanus; print(*sorted({m.split('.')[0] for m in sys.modules}))"
HEAVY = {"faiss", "pandas", "ray", "matplotlib", "grpc", "pymilvus", "scipy"}


def _python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    ).stdout


def test_import_is_quick() -> None:
    """A warm import takes less than 0.2 s; the best of five, as machines are busy."""
    assert min(float(_python(TIMED)) for _ in range(RUNS)) < BUDGET_S


def test_import_loads_nothing_heavy() -> None:
    """Index libraries and optional extras are loaded when they are used."""
    assert HEAVY & set(_python(LOADED).split()) == set()


def test_a_server_starts_without_what_it_may_never_need() -> None:
    """Packages that take a while wait for the first request that needs them."""
    loaded = _python(
        LOADED.replace("import sys, elanus;", "import sys, elanus.serving;")
    )
    late = (HEAVY - {"faiss"}) | {"shapely", "tantivy", "rabitqlib", "regex", "rjieba"}
    assert late & set(loaded.split()) == set()

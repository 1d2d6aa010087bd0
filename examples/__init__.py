"""Examples, and the committed sentences that they and the benchmarks share."""

"""Examples, and the committed data that they and the benchmarks share."""

"""Writing: check rows, log and apply them, flush, compact, build, recover."""

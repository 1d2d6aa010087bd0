"""Index kinds for sparse vectors."""

"""Index kinds for float vectors, on faiss: one file per family."""

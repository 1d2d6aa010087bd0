"""Index kinds for vectors of bits."""

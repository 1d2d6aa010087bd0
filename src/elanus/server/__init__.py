"""WIRE: bytes to requests and answers to bytes, without decisions."""

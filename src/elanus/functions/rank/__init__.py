"""Rerankers: the arithmetic of scores, on plain arrays, knowing no segment."""

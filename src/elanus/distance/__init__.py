"""Distances between vectors: metrics, exact kernels, and lists of the nearest rows.

Inside, smaller is nearer for every metric; :mod:`elanus.distance.metrics` holds the
one converter to the metric's own sign.
"""

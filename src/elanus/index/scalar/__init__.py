"""Indexes of scalar fields and JSON paths: leaves of a filter answered without a scan.

An index is built once from a column of a sealed segment, written as one column file,
mapped, and never changed. :mod:`elanus.index.scalar.base` is the contract,
:mod:`elanus.index.scalar.layouts` chooses a layout and opens what was written, and each
layout has a file of its own.
"""

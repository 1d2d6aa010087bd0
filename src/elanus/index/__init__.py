"""Vector indexes of one segment's field: kinds, their parameters, and searching them.

An index is built once from a matrix of rows, written to a file, opened by mapping it,
and never changed. :mod:`elanus.index.registry` names the kinds;
:mod:`elanus.index.search` is how a segment searches one.
"""

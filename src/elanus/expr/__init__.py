"""Filter expressions: text to a typed predicate, and predicates to row masks.

``compile_filter`` (:mod:`elanus.expr.bind`) turns text into a :class:`Predicate`,
``evaluate`` (:mod:`elanus.expr.evaluate`) runs it over the columns of one segment and
``may_match`` (:mod:`elanus.expr.prune`) tells from statistics whether it can match.
"""

"""Reading: plan, filter, search or query each segment, reduce, make output columns."""

"""What a collection's rows look like: types, fields, rules, and columns of values."""

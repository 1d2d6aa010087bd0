"""REQUESTS: authorise, resolve names, fill defaults, call the database."""

"""What exists: the catalog, live collections by name, and background work on them."""

"""The database inside your own process: ``open``, collections, and the build worker."""

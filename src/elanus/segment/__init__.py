"""One slice of rows: its columns, deletes and indexes, in memory or on files."""

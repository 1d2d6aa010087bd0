"""Columns, deletes and indexes of one slice of rows: growing in memory, sealed on files."""

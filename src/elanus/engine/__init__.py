"""The collection engine: from records in the log to answers from segments."""

"""The SQLite database: its schema, its writes and its reads."""

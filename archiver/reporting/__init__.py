"""The report: its data, and one module per format."""

"""The use cases: the only place that knows all rooms."""

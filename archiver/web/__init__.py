"""The HTTP face: health and metrics, behind one door that checks every request."""

"""Archived copies: looked up, asked for, verified by playback, chosen for a citation."""

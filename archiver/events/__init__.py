"""Event files: found, read with positions, linted. Never written by the daemon."""

"""The rehearsal: a small misbehaving web and an archive stand-in, on loopback."""

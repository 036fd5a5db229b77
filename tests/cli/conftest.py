"""The commands are tried in the same place and town as the use cases behind them."""

from __future__ import annotations

from tests.service.conftest import place, town

__all__ = ["place", "town"]

"""Watches the web pages a timeline cites, and makes sure a verified archived copy exists."""

__version__ = "0.1.0"

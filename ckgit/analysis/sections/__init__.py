"""Sections of the report, as Markdown. Pure."""

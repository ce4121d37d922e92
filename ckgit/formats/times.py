"""Moments as text: in UTC for programs, as they are where one works for people."""

from __future__ import annotations

import datetime


def utc(moment: datetime.datetime) -> str:
    """`2026-11-29T10:00:00Z`, as all of ckgit's files and documents write it."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def local(moment: datetime.datetime) -> str:
    """`2026-11-29 12:00 +02:00`: the time of this machine, with how far it is from UTC."""
    text = moment.astimezone().isoformat(sep=" ", timespec="minutes")
    return f"{text[:16]} {text[16:]}"


def local_text(text: str | None) -> str:
    """The same of a time that is written as text; empty where there is none, and as it stands where it is no time."""
    try:
        moment = datetime.datetime.fromisoformat(text or "")
    except ValueError:
        return text or ""
    return local(moment) if moment.tzinfo else moment.isoformat(sep=" ")

"""Moments as text: in UTC for programs, as they are where one works for people."""

from __future__ import annotations

import datetime
import re


def utc(moment: datetime.datetime) -> str:
    """`2026-11-29T10:00:00Z`, as all of ckgit's files and documents write it."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_LAST = 253_402_128_000  # 9999-12-30: the last day that has a name in every time zone


def of_git(told: str) -> datetime.datetime:
    """A moment in UTC. Anybody may have written it: where no calendar has it, it is 1970, as git has it.

    Args:
        told: seconds since 1970, as git tells them alone or in a commit's own words: `NAME <ADDRESS> SECONDS ZONE`.
    """
    seconds = re.fullmatch(r"(?:.*> )?(\d{1,12})(?: [+-]\d+)?", told, re.DOTALL)
    known = int(seconds[1]) if seconds else 0
    return datetime.datetime.fromtimestamp(known if known < _LAST else 0, datetime.UTC)


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

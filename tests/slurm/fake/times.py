"""Times and amounts as SLURM writes them."""

import re
import time

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def minutes(text):
    """M, M:S, H:M:S, D-H, D-H:M, D-H:M:S in minutes, rounded up. Raises ValueError."""
    days, dash, rest = text.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if dash:
        hours, mins, seconds = (*parts, 0, 0)[:3]
    elif len(parts) == 3:
        hours, mins, seconds = parts
    else:
        hours, (mins, seconds) = 0, (*parts, 0)[:2]
    return ((int(days or 0) * 24 + hours) * 3600 + mins * 60 + seconds + 59) // 60


def megabytes(text):
    number, unit = (
        re.fullmatch(r"(\d+)([KMGT]?)B?", text, re.IGNORECASE).groups()
        if re.fullmatch(r"\d+[KMGT]?B?", text, re.IGNORECASE)
        else (None, None)
    )
    if number is None:
        raise ValueError(text)
    return int(int(number) * {"K": 1 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024**2}[unit.upper()])


def moment(text, now):
    """now, now+1hour, now-20minutes, 2026-11-23, 2026-11-23T12:00, 2026-11-23T12:00:00, 12:00. Raises ValueError."""
    relative = re.fullmatch(r"now(?:([+-])(\d+)([a-z]*))?", text)
    if relative:
        sign, number, unit = relative.groups()
        return now + int(f"{sign or ''}{number or 0}") * UNITS[(unit or "s")[0]]
    for form in ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"):
        try:
            return time.mktime(time.strptime(text, form))
        except ValueError:
            continue
    raise ValueError(text)


def midnight(now):
    return time.mktime((*time.localtime(now)[:3], 0, 0, 0, 0, 0, -1))


def show(seconds, none="N/A", form="standard"):
    if seconds is None:
        return none
    return time.strftime("%Y-%m-%dT%H:%M:%S" if form == "standard" else form, time.localtime(seconds))


def elapsed(seconds):
    """HH:MM:SS or D-HH:MM:SS."""
    seconds = int(seconds)
    days, rest = divmod(seconds, 86400)
    text = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{text}" if days else text


def short(seconds):
    """As squeue has it: 5:00, 1:00:00, 1-00:00:00."""
    seconds = int(seconds)
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02}"
    return elapsed(seconds).lstrip("0") if seconds < 36000 else elapsed(seconds)

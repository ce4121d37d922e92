"""What the output of an evaluation job tells: how far it is, and why it failed."""

from __future__ import annotations

import re

from ckgit.experiment.jobs import FailureClass, Progress
from ckgit.workers.inspect_ai.codes import MARK, TOKENS_DIFFER
from ckgit.workers.script import INPUTS_CHANGED, PROGRAM_MISSING

KILLED = (137, 247)  # SIGKILL, as bash and as Python report it
STOPPED = (129, 130, 143)
LONGEST = 300
_SAMPLES = re.compile(r"Samples: +(\d+)/ *(\d+)")
_OWN = re.compile(r"^ckgit: (.+)$", re.MULTILINE)
_CHANGED = re.compile(r"^(.+): FAILED", re.MULTILINE)
_ABSENT = re.compile(r"^(?:ModuleNotFoundError|ImportError): (.+)$", re.MULTILINE)
_MEMORY = re.compile(r"out of memory|OutOfMemoryError|Cannot allocate memory|MemoryError", re.IGNORECASE)
_EXCEPTION = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception)): ?(.*)$", re.MULTILINE)
_DISK = re.compile(r"No space left on device|Disk quota exceeded")


def progress(log_tail: str) -> Progress | None:
    """Samples that are done, from inspect's plain display; None when it shows none yet."""
    seen = _SAMPLES.findall(log_tail)
    return Progress(step=int(seen[-1][0]), steps=int(seen[-1][1]), note="samples") if seen else None


def explain(log_tail: str, exit_code: int | None) -> tuple[FailureClass, str]:
    """Class and one sentence; `exit_code` None when it is not known."""
    failure, sentence = _explain(log_tail.replace("\r", "\n"), exit_code)
    line = " ".join(sentence.split())
    return failure, line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _explain(text: str, exit_code: int | None) -> tuple[FailureClass, str]:
    return _by_code(text, exit_code) or _by_words(text, exit_code)


def _by_code(text: str, exit_code: int | None) -> tuple[FailureClass, str] | None:
    """What the job script and its last step tell by their exit codes."""
    if exit_code == TOKENS_DIFFER or MARK in text:
        return FailureClass.TOKENS_DIFFER, _tokens_differ(text)
    if exit_code == INPUTS_CHANGED:
        changed = ", ".join(_CHANGED.findall(text))
        return FailureClass.INPUT_CHANGED, f"changed since it was scaffolded: {changed or 'an input'}"
    if exit_code == PROGRAM_MISSING:
        return FailureClass.ENVIRONMENT, _said(text) or "a program is not on PATH"
    return None


def _by_words(text: str, exit_code: int | None) -> tuple[FailureClass, str]:
    if absent := _ABSENT.findall(text):
        return FailureClass.ENVIRONMENT, f"a Python module is missing: {absent[-1]}"
    if _MEMORY.search(text):
        return FailureClass.OUT_OF_MEMORY, f"it ran out of memory ({_cause(text)}); try a smaller max_connections"
    if exit_code in KILLED:
        return FailureClass.OUT_OF_MEMORY, "it was killed (SIGKILL), most often for its use of memory; try a smaller max_connections"
    if full := _DISK.search(text):
        return FailureClass.ERROR, f"the disk is full: {full[0]}"
    if exit_code in STOPPED:
        return FailureClass.CANCELLED, f"it was stopped by a signal (exit code {exit_code})"
    return FailureClass.ERROR, _said(text) or _cause(text) or f"it ended with exit code {exit_code} and said nothing"


def _tokens_differ(text: str) -> str:
    """The sentence after the mark, and the two texts. inspect's display breaks lines, the last step's output does not: it is last."""
    found = text.rpartition(MARK)[2].strip()
    return f"training and evaluation see different tokens {found}" if found else "training and evaluation see different tokens"


def _said(text: str) -> str | None:
    said = _OWN.findall(text)
    return str(said[-1]) if said else None


def _cause(text: str) -> str | None:
    """The last exception, or the last line."""
    if raised := _EXCEPTION.findall(text):
        name, words = raised[-1]
        return f"{name.rsplit('.', 1)[-1]}: {words}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else None

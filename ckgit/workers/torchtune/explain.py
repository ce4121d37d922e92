"""Why a training job failed, from the end of its output and its exit code."""

from __future__ import annotations

import re

from ckgit.experiment.jobs import FailureClass
from ckgit.workers.script import INPUTS_CHANGED, PROGRAM_MISSING
from ckgit.workers.torchtune.codes import CHECKPOINTS_MISSING, TOKENS_DIFFER

KILLED = (137, 247)  # SIGKILL, as bash and as Python report it
_MEMORY = re.compile(r"out of memory|OutOfMemoryError|Cannot allocate memory|MemoryError|oom[-_ ]kill|not enough memory", re.IGNORECASE)
_DISK = re.compile(r"No space left on device|Disk quota exceeded|I/O error: .*os error 28")
_ABSENT = re.compile(r"^(ModuleNotFoundError|ImportError): (.+)$", re.MULTILINE)
_EXCEPTION = re.compile(r"^(?:\[rank\d+\]: )?([A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Differ)|Exception): ?(.*)$")
_OWN = re.compile(r"^ckgit: (.+)$", re.MULTILINE)
LONGEST = 300


def explain(log_tail: str, exit_code: int | None) -> tuple[FailureClass, str]:
    """Class and one sentence; `exit_code` None when it is not known."""
    by_code = {
        INPUTS_CHANGED: (FailureClass.INPUT_CHANGED, "an input is missing or has changed since it was scaffolded"),
        PROGRAM_MISSING: (FailureClass.ENVIRONMENT, "a program is not on PATH"),
        TOKENS_DIFFER: (FailureClass.TOKENS_DIFFER, "training and evaluation would see different tokens"),
        CHECKPOINTS_MISSING: (FailureClass.OUTPUT_MISSING, "a checkpoint is not complete"),
    }
    if exit_code in by_code:
        failure, sentence = by_code[exit_code]
        return failure, _shortened(_detail(log_tail, failure) or sentence)
    return _from_words(log_tail, exit_code)


def _from_words(log_tail: str, exit_code: int | None) -> tuple[FailureClass, str]:
    exception = last_exception(log_tail)
    if _MEMORY.search(log_tail):
        return FailureClass.OUT_OF_MEMORY, _shortened(f"it ran out of memory: {exception or 'see the log'}; try a smaller batch_size")
    if exit_code in KILLED:
        return (
            FailureClass.OUT_OF_MEMORY,
            "it was killed (SIGKILL), most often for its use of memory; ask for more, or try a smaller batch_size",
        )
    if found := _DISK.search(log_tail):
        return FailureClass.ERROR, f"the disk is full: {found[0]}"
    if found := _ABSENT.search(log_tail):
        return FailureClass.ENVIRONMENT, _shortened(f"a Python module is missing: {found[2]}")
    if exit_code in (129, 130, 143):
        return FailureClass.CANCELLED, f"it was stopped by a signal (exit code {exit_code})"
    return FailureClass.ERROR, _shortened(exception or _last_line(log_tail) or f"it ended with exit code {exit_code} and said nothing")


def _detail(log_tail: str, failure: FailureClass) -> str | None:
    """What the job itself said; for inputs, sha256sum's lines name the files."""
    if failure is FailureClass.INPUT_CHANGED:
        files = re.findall(r"^(.+): FAILED", log_tail, re.MULTILINE)
        return f"changed since it was scaffolded: {', '.join(files)}" if files else None
    said = _OWN.findall(log_tail)
    return str(said[-1]) if said else None


def last_exception(log_tail: str) -> str | None:
    """The last line that reads like a Python exception; of a chain or of several processes, the last cause."""
    for line in reversed(log_tail.splitlines()):
        if match := _EXCEPTION.match(line.strip()):
            name, text = match[1].rsplit(".", 1)[-1], match[2].strip()
            if name not in ("ChildFailedError", "SystemExit"):
                return f"{name}: {text}" if text else name
    return None


def _last_line(log_tail: str) -> str | None:
    lines = [line.strip() for line in log_tail.replace("\r", "\n").splitlines() if line.strip()]
    return lines[-1] if lines else None


def _shortened(sentence: str) -> str:
    line = " ".join(sentence.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"

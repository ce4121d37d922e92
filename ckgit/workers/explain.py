"""Why a job failed, from the end of its output and its exit code: what is alike in all tools."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from ckgit.experiment.jobs import FailureClass
from ckgit.jobs.script import INPUTS_CHANGED, PROGRAM_MISSING
from ckgit.workers.environment import install

LONGEST = 300
KILLED = (137, 247)  # SIGKILL, as bash and as Python report it
STOPPED = (129, 130, 143)
# What CUDA and its libraries say; a GPU has its own memory, which no --mem adds to.
_GPU_MEMORY = re.compile(r"(CUDA|HIP) out of memory|CUDA error: out of memory|CU(BLAS|DNN|SPARSE)_STATUS_ALLOC_FAILED")
_MEMORY = re.compile(r"out of memory|OutOfMemoryError|Cannot allocate memory|MemoryError|not enough memory", re.IGNORECASE)
# bash, slurmstepd, torch's DataLoader, torchrun
_KILLED = re.compile(r"^Killed$|line \d+: +\d+ Killed |oom[-_ ]kill|by signal: Killed|\(SIGKILL\)|exitcode *: -9", re.MULTILINE)
_DISK = re.compile(r"No space left on device|Disk quota exceeded|I/O error: .*os error 28")
_EXCEPTION = re.compile(r"^(?:\[rank\d+\]: )?([A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Differ)|Exception): ?(.*)$")
_NO_MODULE = re.compile(r"^ModuleNotFoundError: No module named '(\w+)")
_NO_CAUSE = ("ChildFailedError", "SystemExit")  # they tell that another process failed
_OWN = re.compile(r"^ckgit: (.+)$", re.MULTILINE)
_CHANGED = re.compile(r"^(.+): FAILED", re.MULTILINE)


class Tool(NamedTuple):
    """What is a tool's own."""

    codes: Mapping[int, FailureClass]  # exit codes of its steps, which say why in a line that begins with `ckgit: `
    less_memory: str  # how to need less memory, e.g. try a smaller batch_size


def explain(log_tail: str, exit_code: int | None, tool: Tool) -> tuple[FailureClass, str]:
    """Class and one sentence; `exit_code` None when it is not known."""
    text = log_tail.replace("\r", "\n")
    failure, sentence = _by_code(text, exit_code, tool) or _by_words(text, exit_code, tool)
    return failure, shortened(sentence)


def shortened(sentence: str) -> str:
    """One line of bounded length."""
    line = " ".join(sentence.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _by_code(text: str, exit_code: int | None, tool: Tool) -> tuple[FailureClass, str] | None:
    if exit_code == INPUTS_CHANGED:
        said = own_words(text) or "an input is missing or has changed"
        return FailureClass.INPUT_CHANGED, ": ".join([said, *filter(None, [", ".join(_CHANGED.findall(text))])])
    if exit_code == PROGRAM_MISSING:
        return FailureClass.ENVIRONMENT, own_words(text) or "a program is not on PATH"
    failure = tool.codes.get(exit_code, FailureClass.ERROR) if exit_code is not None else FailureClass.ERROR
    # a step that only says that something failed does not know why
    return None if failure is FailureClass.ERROR else (failure, own_words(text) or f"{failure}: see the log")


def _by_words(text: str, exit_code: int | None, tool: Tool) -> tuple[FailureClass, str]:
    exception = last_exception(text)
    if exception and exception.startswith(("ModuleNotFoundError: ", "ImportError: ")):
        lacking = _NO_MODULE.search(exception)
        mend = lacking and install([lacking[1]])
        return FailureClass.ENVIRONMENT, f"a Python module is missing: {exception.partition(': ')[2]}{f'; {mend}' if mend else ''}"
    if _GPU_MEMORY.search(text):
        return FailureClass.OUT_OF_MEMORY, f"the GPU ran out of memory: {exception or 'see the log'}; {tool.less_memory}"
    if exit_code in KILLED or _KILLED.search(text):
        sentence = "it was killed (SIGKILL), most often for its use of memory; ask for more (ckgit retry --mem), or"
        return FailureClass.OUT_OF_MEMORY, f"{sentence} {tool.less_memory}"
    if found := _MEMORY.search(text):
        sentence = f"it ran out of memory: {exception or found[0]}; ask for more (ckgit retry --mem), or {tool.less_memory}"
        return FailureClass.OUT_OF_MEMORY, sentence
    if full := full_disk(text):
        return FailureClass.ERROR, f"the disk is full: {full}"
    if exit_code in STOPPED:
        return FailureClass.CANCELLED, f"it was stopped by a signal (exit code {exit_code})"
    said = own_words(text) if exit_code in tool.codes else None
    return FailureClass.ERROR, said or exception or _last_line(text) or f"it ended with exit code {exit_code} and said nothing"


def full_disk(text: str) -> str:
    """The words by which a tool says that its disk is full; empty where it says nothing of that."""
    found = _DISK.search(text)
    return found[0] if found else ""


def own_words(text: str) -> str | None:
    """What ckgit's own steps said last."""
    said = _OWN.findall(text)
    return str(said[-1]) if said else None


def last_exception(text: str) -> str | None:
    """The last line that reads like a Python exception; of a chain or of several processes, the last cause."""
    for line in reversed(text.splitlines()):
        if match := _EXCEPTION.match(line.strip()):
            name, words = match[1].rsplit(".", 1)[-1], match[2].strip()
            if name not in _NO_CAUSE:
                return f"{name}: {words}" if words else name
    return None


def _last_line(text: str) -> str | None:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else None

"""What the output of an evaluation job tells: how far it is, and why it failed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ckgit.experiment.jobs import FailureClass, Progress
from ckgit.workers import explain as common
from ckgit.workers.inspect_ai.codes import MARK, NO_LOG, NOT_SUCCESS, TOKENS_DIFFER

TOOL = common.Tool(codes={NO_LOG: FailureClass.ERROR, NOT_SUCCESS: FailureClass.ERROR}, less_memory="try a smaller max_connections")
_SAMPLES = re.compile(r"Samples: +(\d+)/ *(\d+)")
_CELL = re.compile(r"^== evaluation (\d+) of \d+: ", re.MULTILINE)  # evaluate.py says it before each cell of several
# What inspect says and ends, as of samples with one id: a paragraph of its own, before the last words of evaluate.py.
_ENDED = "ckgit: inspect ended with exit code "
_SAID = re.compile(rf"\n[ \t]*\n((?:[ \t]*\S[^\n]*\n)+)[ \t]*\n{_ENDED}")


def progress(log_tail: str, samples: Sequence[int]) -> Progress | None:
    """Samples that are done, from inspect's plain display; None when it shows none yet.

    Args:
        samples: how many each cell of the job has, as far as that is known.
    """
    begun = list(_CELL.finditer(log_tail))
    seen = _SAMPLES.findall(log_tail[begun[-1].end() :] if begun else log_tail)
    if not begun:
        return Progress(step=int(seen[-1][0]), steps=int(seen[-1][1]), note="samples") if seen else None
    done = sum(samples[: int(begun[-1][1]) - 1]) + (int(seen[-1][0]) if seen else 0)
    return Progress(step=done, steps=sum(samples), note="samples")


def explain(log_tail: str, exit_code: int | None) -> tuple[FailureClass, str]:
    """Class and one sentence; `exit_code` None when it is not known."""
    if exit_code == TOKENS_DIFFER or MARK in log_tail:
        # inspect's display breaks lines, the last step's output does not: it is last, with the two texts
        found = log_tail.rpartition(MARK)[2]
        return FailureClass.TOKENS_DIFFER, common.shortened(f"training and evaluation see different tokens {found}")
    failure, sentence = common.explain(log_tail, exit_code, TOOL)
    if sentence.startswith(_ENDED) and (said := _SAID.findall(log_tail)):
        return failure, common.shortened(f"inspect refused it: {said[-1]}")
    return failure, sentence

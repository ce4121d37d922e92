"""Lies that verification cannot see, and why git alone does not tell: by name of the mutation, as a pattern."""

from __future__ import annotations

from collections.abc import Mapping

_ELSEWHERE = "only the machine on which the jobs ran knows it"
_WROTE = "it is what a job left, and whoever writes its digest anew has another job; only a second run would tell"
_SIZE = "the file itself is held by its digest; how large it is and what it has was only written down with it"
_CLOCK = "clocks of two machines differ, and people rebase: less than a day says nothing"
_BY_HAND = "commits and files by hand are their author's; a history without them, or with others, is as honest"
_SHORTER = "what is left is an honest history that is not as far"
_WHO = "who made a commit is what git was told; a signature would tell more"
_OTHER = "another version writes other words; that its files cannot be made again is noted"
_BUILD = "it says why bytes may differ, where they do; here they do not"
_LONGER = "what was taken back is there again, as ckgit left it"

ESCAPED: Mapping[str, str] = {
    "everywhere: *#? job_id": _ELSEWHERE,
    "everywhere: *#? token": _ELSEWHERE,
    "ledger: rank8/finetune#1 exit_code": _ELSEWHERE,
    "ledger: command_prefix": _ELSEWHERE,
    "ledger: work_tree": _ELSEWHERE,
    "ledger: host": _ELSEWHERE,
    "ledger: commit": "a rebase gives the scaffold commit another name, too",
    "everywhere: the work tree": _ELSEWHERE,
    "everywhere: the reason of a failure": _ELSEWHERE,
    "everywhere: a loss": _WROTE,
    "everywhere: an accuracy": _WROTE,
    "design: line 2[578] () from the first commit on": _SIZE,
    "message: * Ckgit-Version": _OTHER,
    "message: * without Ckgit-Version": _OTHER,
    "message: * Ckgit-Build": _BUILD,
    "message: * without Ckgit-Build": _BUILD,
    "message: 4 by hand line 0": _BY_HAND,
    "time: * author -1h": _CLOCK,
    "time: 0 design author -30d": "nothing was there before it",
    "time: * author": _WHO,
    "time: 4 by hand *": _BY_HAND,
    "word: *slurm-#?.out *": _WROTE,
    "word: */training.log line * column 1": _WROTE,
    "word: */training.log line * column 15": _WROTE,
    "word: notes.md *": _BY_HAND,
    "gone: notes.md from the first commit on": _BY_HAND,
    "order: 0 design is there twice": "a name that is used again begins anew, with the last commit that says so",
    "order: 4 by hand is there twice": _BY_HAND,
    "order: 9 analyze is left out": _SHORTER,
    "order: 3 fail undone by the next commit": _LONGER,
}

"""What SLURM is asked about jobs, and what it answers: one squeue for all that look at the same moment, sacct by the thousand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime

from ckgit.errors import CkgitError
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.jobs import Attempt, Usage
from ckgit.schedulers.slurm import commands
from ckgit.schedulers.slurm.assess import AccountedJob
from ckgit.schedulers.slurm.call import call
from ckgit.schedulers.slurm.parsers import AccountRow, ParseError, QueueRow, is_accounting_off, parse_account, parse_queue
from ckgit.schedulers.slurm.submit import name_of
from ckgit.schedulers.slurm.usage import usage_of

_AT_A_TIME = 1000  # ids or names in one call of sacct, as an argument has at most 128 KiB
_CLOCKS_DIFFER = 86_400  # seconds by which the clocks of hosts and accounting may be wrong, with ample room


class NoAnswer(Exception):  # noqa: N818 - it is not an error of ours
    """SLURM cannot be asked now; the text says why."""


class SharedPoll:
    """What polls at the same moment share."""

    def __init__(self) -> None:
        self.asked = 0  # calls of squeue
        self.handed_over = 0  # jobs that are not in the queue as it was seen
        self._seen: dict[tuple[str, ...], list[QueueRow] | NoAnswer] = {}

    def queue(self, cluster: Cluster) -> list[QueueRow]:
        """The rows of squeue.

        Raises:
            NoAnswer: there is none.
        """
        key = tuple(commands.whole(cluster, commands.squeue(cluster)))
        if key not in self._seen:
            self.asked += 1
            try:
                self._seen[key] = ask_queue(cluster)
            except NoAnswer as why:
                self._seen[key] = why
        found = self._seen[key]
        if isinstance(found, NoAnswer):
            raise found
        return found


SHARED: ContextVar[SharedPoll | None] = ContextVar("SHARED", default=None)


def ask_queue(cluster: Cluster) -> list[QueueRow]:
    """The jobs of this user that are in the queue now.

    Raises:
        NoAnswer: SLURM cannot be asked, or what it says cannot be read.
        CkgitError: TOOL_MISSING, there is no squeue.
    """
    answer = call(cluster, commands.squeue(cluster))
    if answer.code != 0:
        raise NoAnswer(answer.words)
    try:
        return parse_queue(answer.out, cluster.slurm_cluster)
    except ParseError as error:
        raise NoAnswer(f"{error}; {answer.words}" if answer.err.strip() else str(error)) from error


def ask_account(cluster: Cluster, asked: Sequence[Attempt], handles: Mapping[str, str | None]) -> tuple[dict[str, AccountedJob], int]:
    """What accounting says of each of these, and how often it was asked."""
    accounts: dict[str, AccountedJob] = {}
    questions = _questions(cluster, commands.ACCOUNT_FIELDS, asked, handles)
    for command, some in questions:
        try:
            answer = call(cluster, command)
            off = is_accounting_off(answer)
            rows = [] if off else parse_account(answer.out)
            failed = "" if off or answer.code == 0 else f"sacct: {answer.words}"
        except ParseError as error:
            rows, failed, off = [], f"sacct: {error}", False
        except CkgitError:  # there is no sacct
            rows, failed, off = [], "", True
        accounts |= {attempt.token: AccountedJob(_of(attempt, rows), failed, off) for attempt in some}
    return accounts, len(questions)


def _of(attempt: Attempt, rows: Iterable[AccountRow]) -> list[AccountRow]:
    """Those of an attempt: ids are used again, so the name must be the token, and the job must not be older."""
    earliest = datetime.fromisoformat(attempt.submitted).timestamp() - _CLOCKS_DIFFER
    return [row for row in rows if row.token == attempt.token and (row.submitted is None or row.submitted >= earliest)]


def ask_usage(
    cluster: Cluster, fields: Sequence[str], attempts: Sequence[Attempt], ids: Mapping[str, str | None], asked: Counter[str]
) -> dict[str, Usage] | None:
    """What accounting says that attempts took; None where it does not answer, as where it has no such field."""
    found: dict[str, Usage] = {}
    for command, some in _questions(cluster, fields, attempts, ids, whole=True):
        asked["sacct"] += 1
        answer = call(cluster, command)
        if answer.code != 0:
            return None
        rows = parse_account(answer.out, len(fields) - len(commands.ACCOUNT_FIELDS))
        found |= {attempt.token: usage for attempt in some if (usage := usage_of(attempt.token, rows))}
    return found


def _questions(
    cluster: Cluster, fields: Sequence[str], attempts: Sequence[Attempt], handles: Mapping[str, str | None], *, whole: bool = False
) -> list[tuple[list[str], list[Attempt]]]:
    """The calls of sacct, and whom each is about: by ids where they are known, as it lists the youngest jobs only so; else by names."""
    first = min(datetime.fromisoformat(attempt.submitted) for attempt in attempts)
    since = int((datetime.now(UTC) - first).total_seconds()) + _CLOCKS_DIFFER
    found = []
    for known in (True, False):
        group = [attempt for attempt in attempts if bool(handles[attempt.token]) is known]
        for some in (group[at : at + _AT_A_TIME] for at in range(0, len(group), _AT_A_TIME)):
            ids = dict.fromkeys(handle.partition("_")[0] for attempt in some if (handle := handles[attempt.token]))
            names = dict.fromkeys(name_of(attempt.token) for attempt in some if not known)
            found.append((commands.sacct(cluster, fields, since, ids=list(ids), names=list(names), whole=whole), some))
    return found

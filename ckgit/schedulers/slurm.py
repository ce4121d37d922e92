"""The slurm scheduler: jobs are handed to SLURM once, and followed with one squeue a poll.

Nothing is remembered but in files of the work tree (slurm_records.py), so any process goes on where another stopped.
Command lines, parsers and the meaning of what is seen are pure and stand in modules of their own.
"""

from __future__ import annotations

import contextlib
import pwd
import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ckgit.experiment.cluster import Cluster
from ckgit.experiment.errors import CkgitError, Exit
from ckgit.experiment.jobs import Attempt, Phase, Usage, task_of
from ckgit.experiment.worker import Look, Seen, Sighting, Spent, Submission
from ckgit.schedulers import slurm_commands as commands
from ckgit.schedulers import slurm_records as records
from ckgit.schedulers.slurm_answers import (
    AccountRow,
    Answer,
    Outcome,
    ParseError,
    QueueRow,
    Verdict,
    is_accounting_off,
    parse_account,
    parse_queue,
)
from ckgit.schedulers.slurm_call import call
from ckgit.schedulers.slurm_sight import Account, Case, Insight, sight, sight_with_account, together, unanswered
from ckgit.schedulers.slurm_states import is_over
from ckgit.schedulers.slurm_submit import Handed, batch_of, hand_over, handle_of, units
from ckgit.schedulers.slurm_usage import usage_of

CANCEL_PATIENCE = 45.0  # seconds for jobs to leave the queue; SLURM's own KillWait is 30
_AT_ONCE = 2  # calls of sbatch
_LONGEST_STAGGER = 30.0  # seconds in which one call hands over one job after the other; then it is time to look at the others again
_AT_A_TIME = 1000  # ids or names in one call of sacct, as an argument has at most 128 KiB
_CLOCKS_DIFFER = 86_400  # seconds by which the clocks of hosts and accounting may be wrong, with ample room


class _NoAnswer(Exception):  # noqa: N818 - it is not an error of ours
    """SLURM cannot be asked now; the text says why."""


class SlurmScheduler(NamedTuple):
    """Runs jobs through sbatch, squeue, sacct and scancel."""

    name: str = "slurm"
    overlaps: bool = True
    detaches: bool = True
    poll_seconds: float = 60.0
    grace_seconds: float = 60.0

    def submit(self, cluster: Cluster, work: Path, submissions: Sequence[Submission]) -> Mapping[str, Sighting]:
        """See `Scheduler.submit`. Tasks of one array go in one sbatch. At the first sign that SLURM takes no jobs now, the rest waits.

        With `stagger_seconds` as many are handed over as have their turn within half a minute; the rest is for the looks after it.

        Raises:
            CkgitError: TOOL_MISSING, there is no sbatch.
        """
        todo, answers, waits = units(submissions), dict[str, Sighting](), list[str]()

        def hand(unit: Sequence[Submission]) -> Handed:
            if waits:
                return Handed({submission.token: Sighting(Seen.UNSEEN, detail=waits[0]) for submission in unit})
            handed = hand_over(cluster, work, unit)
            waits.extend([handed.wait] if handed.wait else [])
            return handed

        alone = todo if cluster.stagger_seconds else todo[:1]  # the first one shows whether SLURM takes jobs now
        end = time.monotonic() + _LONGEST_STAGGER
        for unit in alone:
            if cluster.stagger_seconds and not waits and not _wait_for_turn(cluster, work, unit, end):
                waits.append(f"stagger_seconds is {cluster.stagger_seconds:g}: a later look hands it over")
            handed = hand(unit)
            answers |= handed.sightings
            if cluster.stagger_seconds and handed.called:
                records.note_handed(work)
        for handed in _in_threads(hand, todo[len(alone) :]):
            answers |= handed.sightings
        if shared := _SHARED.get():
            shared.handed_over += sum(sighting.seen is Seen.QUEUED for sighting in answers.values())
        return answers

    def poll(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> Look:
        """See `Scheduler.poll`: one squeue; and where that says too little one sacct, or a few for thousands of attempts.

        Raises:
            CkgitError: TOOL_MISSING, there is no squeue.
        """
        if not work.is_dir():
            return Look({attempt.token: Sighting(Seen.UNKNOWN, detail=f"there is no work tree {work}") for attempt in attempts})
        # before the queue is asked: what was handed over by then is in its answer
        traces, sightings = _read(work, attempts)
        followed = [attempt for attempt in attempts if attempt.token in traces]
        shared = _SHARED.get() or _Shared()
        asked_before = shared.asked
        try:
            queue = shared.queue(cluster)
        except _NoAnswer as why:
            sightings |= _unanswered(work, followed, traces, str(why))
            return Look(sightings, queries={"squeue": shared.asked - asked_before, "sacct": 0})
        cases = _cases(followed, traces, queue, cluster.grace_seconds or self.grace_seconds)
        insights = {token: sight(case) for token, case in cases.items()}
        asked = [attempt for attempt in followed if insights[attempt.token].ask]
        accounts, calls = _account(cluster, asked, {token: case.handle for token, case in cases.items()}) if asked else ({}, 0)
        for token, account in accounts.items():
            insights[token] = sight_with_account(cases[token], account)
        insights = together(insights)
        for token, insight in insights.items():
            _note(work, token, cases[token], insight)
        sightings |= {token: insight.sighting for token, insight in insights.items()}
        in_queue = sum(not is_over(row.state) for row in queue) + shared.handed_over
        return Look(sightings, in_queue, {"squeue": shared.asked - asked_before, "sacct": calls})

    @contextlib.contextmanager
    def one_look(self) -> Iterator[None]:
        """See `Scheduler.one_look`: one squeue for each way of asking.

        A job that another process hands over after it and before its work tree is read is missed once, which begins its time
        of grace, and is seen by the next look.
        """
        before = _SHARED.set(_Shared())
        try:
            yield
        finally:
            _SHARED.reset(before)

    def cancel(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> None:
        """See `Scheduler.cancel`. Returns when they have left the queue, or some time after SLURM was told.

        Raises:
            CkgitError: SLURM did not take the order, or cannot be asked.
        """
        if work.is_dir():
            for attempt in attempts:
                folder = records.job_folder(work, attempt.token)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "cancelled").touch()  # before the queue is asked: who hands it over now looks for the mark afterwards
        tokens, words, nap = {attempt.token for attempt in attempts}, "", 0.2
        may_run = _may_run(work, attempts)
        told: set[str] = set()
        end = time.monotonic() + CANCEL_PATIENCE
        while time.monotonic() < end:
            rows = _queue_or_error(cluster)
            alive = {row.handle: row.state for row in rows if row.token in tokens and not is_over(row.state)}
            may_run = _unseen(may_run, rows)
            if not may_run and not alive:
                return
            if words and any(state != "COMPLETING" for state in alive.values()):
                raise _not_cancelled(words)
            for name, ids in may_run.items():
                # with a name, SLURM 22.05 takes a task of an array that waits for the whole array
                by_name = "" if any("_" in handle for handle in ids) else name
                call(cluster, commands.scancel(cluster, ids, name=by_name))  # that there is no such job is no error
            may_run, untold = {}, sorted(set(alive) - told)
            answer = call(cluster, commands.scancel(cluster, untold)) if untold else Answer(0, "", "")
            words = "" if answer.code == 0 else answer.words
            told |= set(untold)
            time.sleep(nap)
            nap = min(nap * 1.5, 3.0)

    def usage(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> Spent:  # noqa: ARG002 - as all schedulers
        """See `Scheduler.usage`: one sacct for each thousand of them, and a second where a field is not known here."""
        if not attempts:
            return Spent({})
        ids = {attempt.token: attempt.job_id for attempt in attempts}
        asked = Counter[str]()
        try:
            for fields in (commands.USAGE_FIELDS, commands.ACCOUNT_FIELDS):
                if (found := _used(cluster, fields, attempts, ids, asked)) is not None:
                    return Spent(found, asked)
        except (ParseError, CkgitError, OSError):
            pass
        return Spent({}, asked)

    def rehearse(self, cluster: Cluster, work: Path, submissions: Sequence[Submission], script: bytes) -> tuple[str, str]:
        """See `Scheduler.rehearse`."""
        command = commands.sbatch(cluster, work, batch_of(submissions))
        shown = shlex.join(commands.prefixed(cluster, command))
        try:
            return shown, call(cluster, commands.rehearsal(command), given=script).words
        except CkgitError as error:
            return shown, error.what


class _Shared:
    """What polls at the same moment share."""

    def __init__(self) -> None:
        self.asked = 0  # calls of squeue
        self.handed_over = 0  # jobs that are not in the queue as it was seen
        self._seen: dict[tuple[str, ...], list[QueueRow] | _NoAnswer] = {}

    def queue(self, cluster: Cluster) -> list[QueueRow]:
        """The rows of squeue.

        Raises:
            _NoAnswer: there is none.
        """
        key = tuple(commands.whole(cluster, commands.squeue(cluster)))
        if key not in self._seen:
            self.asked += 1
            try:
                self._seen[key] = _queue(cluster)
            except _NoAnswer as why:
                self._seen[key] = why
        found = self._seen[key]
        if isinstance(found, _NoAnswer):
            raise found
        return found


_SHARED: ContextVar[_Shared | None] = ContextVar("_SHARED", default=None)


def _wait_for_turn(cluster: Cluster, work: Path, unit: Sequence[Submission], end: float) -> bool:
    """Let time pass since the last hand-over, whoever made it; False where that takes too long."""
    pause = 0.0 if unit[0].after else cluster.stagger_seconds - records.since_handed(work)  # what waits for others does not start now
    if time.monotonic() + pause > end:
        return False
    time.sleep(max(0.0, pause))
    return True


def _in_threads(hand: Callable[[Sequence[Submission]], Handed], todo: Sequence[Sequence[Submission]]) -> list[Handed]:
    """Hand over a few at once: while one sbatch waits for the controller, the record of another is written."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        return list(pool.map(hand, todo))
    finally:
        pool.shutdown(cancel_futures=True)  # on an interrupt, those that have begun end well


def _read(work: Path, attempts: Sequence[Attempt]) -> tuple[dict[str, records.Traces], dict[str, Sighting]]:
    """What lies in the work tree about each attempt; where that cannot be read, what to say instead."""
    known: dict[Path, records.Record | None] = {}  # read once, so that the tasks of an array are seen at one moment
    traces, unreadable = {}, {}
    for attempt in attempts:
        token = attempt.token
        folder = records.record_folder(work, token)
        try:
            if folder not in known:
                known[folder] = records.read_record(folder)
            traces[token] = records.read_traces(records.job_folder(work, token), known[folder])
        except OSError as error:
            unreadable[token] = Sighting(Seen.UNKNOWN, attempt.job_id, f"its files cannot be read: {error.strerror}")
    return traces, unreadable


def _queue(cluster: Cluster) -> list[QueueRow]:
    answer = call(cluster, commands.squeue(cluster))
    if answer.code != 0:
        raise _NoAnswer(answer.words)
    try:
        return parse_queue(answer.out, cluster.slurm_cluster)
    except ParseError as error:
        raise _NoAnswer(f"{error}; {answer.words}" if answer.err.strip() else str(error)) from error


def _unanswered(work: Path, attempts: Sequence[Attempt], traces: Mapping[str, records.Traces], words: str) -> dict[str, Sighting]:
    """The controller does not answer: for how long a job is missing counts anew when it does."""
    for attempt in attempts:
        if traces[attempt.token].absent is not None:
            records.forget_absent(records.job_folder(work, attempt.token))
    return {attempt.token: unanswered(traces[attempt.token], attempt.job_id, words) for attempt in attempts}


def _cases(attempts: Sequence[Attempt], traces: Mapping[str, records.Traces], queue: Sequence[QueueRow], grace: float) -> dict[str, Case]:
    """Files and queue of each attempt."""
    by_token: dict[str, list[QueueRow]] = {}
    for row in queue:
        by_token.setdefault(row.token, []).append(row)
    by_name = {row.name: row for row in queue}
    cases = {}
    for attempt in attempts:
        token, known = attempt.token, traces[attempt.token]
        accepted = _accepted(known, by_name.get(_name_of(token)), attempt)
        handle = handle_of(token, accepted) if accepted else known.claim_id
        cases[token] = Case(known, by_token.get(token, ()), accepted, handle, grace, _user_name)
    return cases


def _accepted(traces: records.Traces, row: QueueRow | None, attempt: Attempt) -> str | None:
    """Id under which SLURM took the job, or the array that it is a task of."""
    verdict = traces.record.verdict if traces.record else None
    if verdict and verdict.outcome is Outcome.ACCEPTED:
        return verdict.job_id
    return row.array if row else attempt.job_id.partition("_")[0] if attempt.job_id else None


def _note(work: Path, token: str, case: Case, insight: Insight) -> None:
    """Leave in the work tree what other processes, or this one later, must know."""
    folder = records.job_folder(work, token)
    with contextlib.suppress(OSError):  # what cannot be noted is found out again
        record = case.traces.record
        if record and insight.settled:
            records.settle(records.record_folder(work, token), record, insight.settled)
        elif record and record.verdict.outcome is Outcome.AMBIGUOUS and case.accepted:
            records.settle(records.record_folder(work, token), record, Verdict(Outcome.ACCEPTED, case.accepted))
        if insight.missing:
            records.note_absent(folder)
        elif case.traces.absent is not None and insight.sighting.seen is not Seen.GONE:  # what is gone stays so at the next poll
            records.forget_absent(folder)  # last: what it led to is known to all by now


def _account(cluster: Cluster, asked: Sequence[Attempt], handles: Mapping[str, str | None]) -> tuple[dict[str, Account], int]:
    """What accounting says of each of these, and how often it was asked."""
    accounts: dict[str, Account] = {}
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
        accounts |= {attempt.token: Account(_of(attempt, rows), failed, off) for attempt in some}
    return accounts, len(questions)


def _of(attempt: Attempt, rows: Iterable[AccountRow]) -> list[AccountRow]:
    """Those of an attempt: ids are used again, so the name must be the token, and the job must not be older."""
    earliest = datetime.fromisoformat(attempt.submitted).timestamp() - _CLOCKS_DIFFER
    return [row for row in rows if row.token == attempt.token and (row.submitted is None or row.submitted >= earliest)]


def _used(
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
            names = dict.fromkeys(_name_of(attempt.token) for attempt in some if not known)
            found.append((commands.sacct(cluster, fields, since, ids=list(ids), names=list(names), whole=whole), some))
    return found


def _user_name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except (KeyError, OverflowError):
        return f"user {user_id}"


def _may_run(work: Path, attempts: Sequence[Attempt]) -> dict[str, list[str]]:
    """Ids of the jobs that have been accepted and are not known to have ended, by SLURM's name for them."""
    found: dict[str, list[str]] = {}
    for attempt in attempts:
        record = records.read_record(records.record_folder(work, attempt.token))
        ended = attempt.phase is not Phase.SUBMITTED or (records.job_folder(work, attempt.token) / "status.json").exists()
        if record and record.verdict.outcome is Outcome.ACCEPTED and not ended:
            found.setdefault(_name_of(attempt.token), []).append(handle_of(attempt.token, record.verdict.job_id))
    return found


def _unseen(may_run: Mapping[str, Sequence[str]], rows: Sequence[QueueRow]) -> dict[str, list[str]]:
    """Those that squeue leaves out, as it may do with a job that sbatch has just handed over.

    What it shows is another matter: ids are used again, and a job of another name is none of ours.
    """
    seen = {number for row in rows for number in (row.id, row.array)}
    left = {name: [handle for handle in handles if handle.partition("_")[0] not in seen] for name, handles in may_run.items()}
    return {name: handles for name, handles in left.items() if handles}


def _name_of(token: str) -> str:
    """What SLURM calls a job: for a task it is its array's name."""
    task = task_of(token)
    return task.array if task else token


def _queue_or_error(cluster: Cluster) -> list[QueueRow]:
    try:
        return _queue(cluster)
    except _NoAnswer as why:
        raise CkgitError(
            f"squeue: {why}",
            code=Exit.UNKNOWN,
            state="jobs that were not handed over yet stay so; whether the others ended is not known",
            next="run the same command again later",
        ) from None


def _not_cancelled(words: str) -> CkgitError:
    return CkgitError(
        f"scancel: {words}",
        code=Exit.COMMAND_FAILED,
        state="some of the jobs are still in the queue",
        next="squeue --me shows them; run the same command again later, or as the user whose jobs they are",
    )


scheduler = SlurmScheduler()

"""Jobs that run although they are not in the ledger of their branch: it was rewritten or deleted since, or another clone submitted them.

A job is known by its token, whose folder lies in a work tree of the experiment, whatever any branch says now. Only the names of files
are read as long as all jobs have ended: `status` and `list` look here each time.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.classify import LedgerOutline, classify, read_outline
from ckgit.experiment.design.names import name_problem
from ckgit.formats.listing import in_words
from ckgit.jobs.folder import job_folder, jobs_folder
from ckgit.jobs.handover import noted_folder
from ckgit.lab.git import tips
from ckgit.lab.git.command import commits_there, git_lines, git_text
from ckgit.lab.git.objects import read_objects, tree_entries
from ckgit.lab.git.worktrees import moving
from ckgit.lab.lab import Lab

if TYPE_CHECKING:
    from ckgit.experiment.cluster import Cluster
    from ckgit.experiment.jobs import Attempt

_GOES_ON = re.compile(r"\.advance\.1\.[0-9a-f]{8}(\.again)?$")
TREE = re.compile(r"([0-9a-f]{12})(?:-[0-9]+)?")
_OVER = "over"  # a mark in the folder of a job that has ended without a status: it is asked for no more
_ENDS = ("status.json", _OVER)
_LISTED = 5  # jobs in an error


class Orphan(NamedTuple):
    """A job that may still run and is in no ledger of the branch."""

    token: str
    work: Path
    cluster: str  # name of the profile in whose work root it lies
    seen: str
    commit: str = ""  # of this repository, whose ledger lists it: the branch has lost it; empty where another clone submitted the job

    @property
    def goes_on(self) -> bool:
        """Whether it is a job of `advance --detach`, which computes nothing itself."""
        return _GOES_ON.search(self.token) is not None


def known_tokens(ledger: LedgerOutline | None) -> frozenset[str]:
    """Tokens of every job that an experiment's ledger lists; none where there is none."""
    return frozenset(ledger.tokens if ledger else ())


def find_orphans(lab: Lab, name: str, known: AbstractSet[str]) -> list[Orphan]:
    """Jobs of an experiment that may still run and whose token is not among those that are known.

    Raises:
        CkgitError: USAGE, a configuration file cannot be read.
    """
    candidates = {(work, cluster): tokens for work, cluster in _trees(lab, name) if (tokens := unfinished(work, known))}
    own = own_commits(lab, {work.name[:12] for work, _ in candidates})
    found: dict[str, Orphan] = {}
    for (work, cluster), tokens in candidates.items():
        if work.name[:12] in own:  # work roots are shared, and another lab may have this one's name
            found |= {orphan.token: orphan for orphan in _alive(lab, work, cluster, tokens) if orphan.token not in found}
    commits = _commits(lab, name) if found else {}
    return [orphan._replace(commit=_that_lists(orphan.token, commits)) for orphan in found.values()]


def still_unknown(lab: Lab, name: str, known: AbstractSet[str]) -> list[Orphan]:
    """The same, without those that the branch lists by now.

    Raises:
        CkgitError: as `find_orphans`.
    """
    found = find_orphans(lab, name, known)
    by_now = known_by_now(lab, name) if found else frozenset()
    return [orphan for orphan in found if orphan.token not in by_now]


def known_by_now(lab: Lab, name: str) -> frozenset[str]:
    """Jobs that the branch lists: somebody may have moved it on since the caller read it."""
    (content,) = read_objects(lab.root, [f"{lab.branch(name).ref}:experiments/{name}/jobs.json"])
    return known_in(content, gone=False)


def _trees(lab: Lab, name: str) -> Iterator[tuple[Path, str]]:
    """The work trees of an experiment on this machine, each with the profile in whose work root it lies."""
    for cluster, folder in lab.experiment_folders(name).items():
        names = sorted(folder.iterdir()) if folder.is_dir() else []
        yield from ((work, cluster) for work in names if TREE.fullmatch(work.name))


def tokens_in(work: Path) -> list[str]:
    """Tokens of all jobs that were ever handed over in a work tree, those whose folder is lost among them."""
    folders = [folder for folder in (jobs_folder(work), noted_folder(work)) if folder.is_dir()]
    return sorted({entry.name for folder in folders for entry in folder.iterdir() if entry.name.startswith("ckgit.")})


def unfinished(work: Path, known: AbstractSet[str]) -> list[str]:
    """Tokens of jobs in a work tree that have not said that they ended, without those that are known."""
    jobs = jobs_folder(work)
    return [token for token in tokens_in(work) if token not in known and not any((jobs / token / name).exists() for name in _ENDS)]


def own_commits(lab: Lab, commits: AbstractSet[str]) -> frozenset[str]:
    """Those of the abbreviated commits that this repository has, and can read."""
    return commits_there(lab.root, commits) if commits else frozenset()


def _alive(lab: Lab, work: Path, cluster_name: str, tokens: Sequence[str]) -> Iterator[Orphan]:
    from ckgit.experiment.scheduler import JobState
    from ckgit.orchestrators.engine.plugins import scheduler_for

    cluster = lab.cluster(cluster_name)
    statuses = scheduler_for(cluster).poll(cluster, work, _as_attempts(lab, work, tokens)).statuses
    for token in tokens:
        seen = statuses[token].state
        if seen in (JobState.QUEUED, JobState.RUNNING, JobState.UNKNOWN):
            yield Orphan(token, work, cluster_name, str(seen))
        elif seen is JobState.GONE or (job_folder(work, token) / "cancelled").exists():
            with contextlib.suppress(OSError):  # it may be another user's; then it is asked for again
                job_folder(work, token).mkdir(exist_ok=True)
                (job_folder(work, token) / _OVER).touch()


def _as_attempts(lab: Lab, work: Path, tokens: Sequence[str]) -> list[Attempt]:
    """Jobs of which no more than the token is known, as schedulers are asked for them: none is older than what was scaffolded."""
    from ckgit.experiment.design.model import Stage
    from ckgit.experiment.jobs import Attempt, Phase

    since = git_text(lab.root, "show", "--no-patch", "--format=%cI", work.name[:12])
    one = Attempt(job="", stage=Stage.TRAINING, number=1, token="", script_sha256="", phase=Phase.SUBMITTED, submitted=since)
    return [one.model_copy(update={"job": token, "token": token}) for token in tokens]


def end(lab: Lab, found: Sequence[Orphan]) -> None:
    """End jobs that no branch knows.

    Raises:
        CkgitError: the scheduler did not take the order.
    """
    from ckgit.orchestrators.engine.plugins import scheduler_for

    for work, name in dict.fromkeys((orphan.work, orphan.cluster) for orphan in found):
        cluster: Cluster = lab.cluster(name)
        tokens = [orphan.token for orphan in found if orphan.work == work]
        scheduler_for(cluster).cancel(cluster, work, _as_attempts(lab, work, tokens))


def _commits(lab: Lab, name: str) -> dict[str, bytes]:
    """Ledgers of the commits that the branch may have lost, by commit: where ckgit left it, what is kept, and where its reflog was."""
    branch = lab.branch(name)
    reflog = git_lines(lab.root, "rev-list", "--walk-reflogs", branch.ref) if branch.tip() else []
    commits = list(dict.fromkeys(filter(None, [tips.left_at(lab.root, name), *tips.rescued(lab.root, name), *reflog])))
    ledgers = read_objects(lab.root, [f"{commit}:experiments/{name}/jobs.json" for commit in commits])
    return {commit: ledger for commit, ledger in zip(commits, ledgers, strict=True) if ledger}


def _that_lists(token: str, ledgers: Mapping[str, bytes]) -> str:
    plain = token.removesuffix(".again")
    return next((commit for commit, ledger in ledgers.items() if f'"{plain}"'.encode() in ledger), "")


def way_back(lab: Lab, name: str, found: Sequence[Orphan]) -> str:
    """What to do about jobs that are not in the ledger of the branch."""
    commit = next((orphan.commit for orphan in found if orphan.commit), "")
    if commit:
        return f"{_going_back(lab, name, commit)}; {_how_to_end(name, found)}"
    return f"another clone submitted them: wait until they have ended, and fetch exp/{name} from there; {_how_to_end(name, found)}"


def _going_back(lab: Lab, name: str, commit: str) -> str:
    return f"{moving(lab.branch(name), commit)} goes back to the commit whose ledger lists them"


def _how_to_end(name: str, found: Sequence[Orphan]) -> str:
    if any(orphan.commit for orphan in found):
        return f"ckgit cancel {name} ends them"
    return f"ckgit cancel {name} --job {found[0].token} ends that one"


def listed(found: Sequence[Orphan]) -> str:
    """Jobs with what is seen of them, as many as fit a line."""
    return in_words((f"{orphan.token} ({orphan.seen})" for orphan in found), _LISTED)


def with_its_jobs(lab: Lab, name: str, error: CkgitError) -> CkgitError:
    """An error for which nothing can be told of an experiment, with those of its jobs that go on: the ledger may be what is broken."""
    try:
        found = [] if name_problem(name) else find_orphans(lab, name, frozenset())
    except CkgitError:
        return error
    if found:
        error.state = "; ".join(filter(None, [error.state, f"its jobs go on: {listed(found)}"]))
        error.next = f"{error.next}; {_how_to_end(name, found)}"
    return error


def known_in(content: bytes | None, *, gone: bool) -> frozenset[str]:
    """Jobs that are not to be looked for: those that the branch knows; where it is gone, those that it knew to have ended."""
    try:
        ledger = read_outline(content) if content else None
    except ValueError:
        return frozenset()  # it cannot be read, and so it knows none
    if not ledger or not gone:
        return known_tokens(ledger)
    return frozenset(attempt.token for attempt in ledger.attempts if not classify(attempt).is_open)


def is_unread(lab: Lab, name: str, commit: str, content: bytes | None) -> bool:
    """Whether a commit has a ledger that cannot be read: it is not known what it lists, and so not that it lists nothing.

    Args:
        content: the ledger as `read_objects` gives it where that is lenient.
    """
    try:
        if content:
            read_outline(content)
            return False
        return content is not None or bool(tree_entries(lab.root, commit, f"experiments/{name}/jobs.json"))
    except (CkgitError, ValueError):
        return True


def cancelled_first(name: str, then: str, *, out: bool) -> str:
    """What mends a design that cannot be gone on with: where its jobs are out, nothing else is possible before they are ended."""
    return f"ckgit cancel {name} ends the jobs that are in flight; then {then}" if out else then


def refuse_orphans(lab: Lab, name: str, known: AbstractSet[str], work_tree: str) -> None:
    """Check that no job of the experiment runs that is not in its ledger, and that none ever ran where the next ones are to run.

    The same work would be done twice at once, or go on from what another attempt left.

    Args:
        known: tokens of the ledger.
        work_tree: where the next ones are to run; empty where it is still to be made.

    Raises:
        CkgitError: IN_FLIGHT, naming the jobs and the commit whose ledger lists them; UNKNOWN where nothing can be said of them now;
            BRANCH_MOVED where they have ended.
    """
    found = [orphan for orphan in still_unknown(lab, name, known) if not orphan.goes_on]
    if found:
        raise CkgitError(
            f"{len(found)} job{'s' if len(found) > 1 else ''} of {name} not in the ledger of its branch may still run: {listed(found)}",
            code=Exit.UNKNOWN if all(orphan.seen == "unknown" for orphan in found) else Exit.IN_FLIGHT,
            where=str(found[0].work),
            state="nothing was submitted",
            next=way_back(lab, name, found),
        )
    others = {token for token in (tokens_in(Path(work_tree)) if work_tree else ()) if token not in known and not _GOES_ON.search(token)}
    lost = sorted(others - known_by_now(lab, name)) if others else []
    if lost:
        raise _not_alone(lab, name, work_tree, lost)


def _not_alone(lab: Lab, name: str, work: str, lost: Sequence[str]) -> CkgitError:
    commit = _that_lists(lost[0], _commits(lab, name))
    back = _going_back(lab, name, commit) if commit else f"fetch exp/{name} from whoever ran them"
    return CkgitError(
        f"jobs that are not in the ledger of its branch ran in the work tree of {name}: {in_words(lost, _LISTED)}",
        code=Exit.BRANCH_MOVED,
        where=work,
        state="nothing was submitted",
        next=f"{back}; or begin anew: ckgit revise {name}",
    )

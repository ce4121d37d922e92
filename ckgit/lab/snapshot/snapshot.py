"""An experiment as its branch's tip has it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ckgit.errors import CkgitError, DesignError, Exit
from ckgit.experiment.lifecycle import standing, state_of
from ckgit.experiment.state import Kept, State
from ckgit.formats.problem import Problem
from ckgit.lab.branches import design_of
from ckgit.lab.git.command import git_text
from ckgit.lab.git.objects import read_object, read_objects, tree_entries
from ckgit.lab.git.tips import is_lost
from ckgit.lab.git.trailers import newer_version

if TYPE_CHECKING:
    from ckgit.experiment.design.fields import Frozen
    from ckgit.experiment.design.kept import KeptJobs
    from ckgit.experiment.estimates.file import Estimate
    from ckgit.experiment.jobs import Ledger
    from ckgit.lab.summary.file import SummaryFile

M = TypeVar("M", bound="Frozen")
_MOST_MENDED = 5  # places that one command is proposed for


class BranchTip(NamedTuple):
    """The tip of an experiment's branch, as a commit that is made on it needs it."""

    commit: str
    standing: str  # where the experiment stands there, as the lifecycle calls it
    left: str  # commit at which ckgit left the branch here; empty where it never made one
    closed: str  # commit that is kept of it as the closed one; empty where there is none
    local: bool  # False where only a remote has the branch: the commit makes the local one
    summary: bytes
    version: str  # of the ckgit that made its last step; empty where none did

    @property
    def state(self) -> State:
        """Its state, whether it is closed or not."""
        return State(state_of(self.standing))


@dataclass(frozen=True)
class Snapshot:
    """One commit of an experiment. Everything is read from it, never from a checkout."""

    root: Path
    name: str
    tip: str
    state: State
    event: str | None  # what the last commit of ckgit's recorded; None on a branch that was designed by hand
    design_digest: str | None  # design hash that this commit named; of one that was squashed, its design's own
    time: datetime.datetime  # of the tip
    recorded_at: str = ""  # commit of ckgit's that this was; empty on a branch that was designed by hand
    version: str = ""  # of the ckgit that made that one
    by_hand: bool = False  # whether the tip is a commit of the user's own
    local: bool = True  # False in a clone that only has a remote's branch: the first commit made here makes the local one
    left: str = ""  # commit at which ckgit left the branch here; empty where it never made one
    closed: str = ""  # commit that is kept of it as the closed one; empty where there is none
    kept: Kept | None = None  # what has kept the commit, where the branch is gone
    remotes: Mapping[str, str] = field(default_factory=dict)  # where it is local: tips of the remotes' branches as last fetched, by remote
    known: Mapping[str, bytes | None] = field(default_factory=dict, repr=False)  # files that were read along with it

    @property
    def standing(self) -> str:
        """Where it stands, as the lifecycle calls it: in its state, and maybe closed."""
        return standing(self.event or "", self.state)

    @property
    def revision(self) -> str:
        """What git is to be given for its commit: the branch where that is here."""
        return f"exp/{self.name}" if self.local else self.tip[:12]

    @property
    def folder(self) -> str:
        """The experiment's folder, relative to the lab."""
        return f"experiments/{self.name}"

    @property
    def branch_tip(self) -> BranchTip:
        """What a commit needs that is made on it."""
        return BranchTip(self.tip, self.standing, self.left, self.closed, self.local, self.summary_bytes(), self.version)

    @property
    def tree(self) -> str:
        """Git's id of the experiment's folder."""
        return git_text(self.root, "rev-parse", f"{self.tip}:{self.folder}")

    @cached_property
    def rewritten(self) -> str | None:
        """The commit at which ckgit left the branch, where that holds it no more."""
        return self.left if is_lost(self.root, self.left, self.tip) else None

    def read(self, path: str) -> bytes | None:
        """Content of a file, by its path in the lab; None when the commit has no such file."""
        return self.known[path] if path in self.known else read_object(self.root, f"{self.tip}:{path}")

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Contents of those files that the commit has, in one git call."""
        wanted = list(paths)
        unread = [path for path in wanted if path not in self.known]
        contents = read_objects(self.root, [f"{self.tip}:{path}" for path in unread])
        found = {**self.known, **dict(zip(unread, contents, strict=True))}
        return {path: content for path in wanted if (content := found[path]) is not None}

    def list(self, prefix: str) -> list[str]:
        """Paths of all files in a folder of the lab, sorted; empty when there is no such folder."""
        return [entry.path for entry in tree_entries(self.root, self.tip, f"{prefix.rstrip('/')}/", recursive=True)]

    def summary_bytes(self) -> bytes:
        """The summary as committed."""
        return needed_summary(self.read(f"{self.folder}/experiment_summary.md"), self.name, self.tip)

    @cached_property
    def summary(self) -> SummaryFile:
        """The summary, parsed.

        Raises:
            DesignError: with every problem.
        """
        from ckgit.lab.summary.file import SummaryFile

        try:
            return SummaryFile.parse(self.summary_bytes(), f"exp/{self.name}:{self.folder}/experiment_summary.md")
        except DesignError as error:
            mended = DesignError(error.problems, file=error.file, state="nothing was done", next=self._mending(error.problems))
            raise newer_version(self.name, self.version) or mended from None

    def _mending(self, found: Sequence[Problem]) -> str:
        """The commands that mend a summary which was changed by hand."""
        from ckgit.experiment.checks.mending import mending_options
        from ckgit.experiment.tools.by_tool import parameters_of, summary_type, tool_of
        from ckgit.formats.yaml.document import read_yaml
        from ckgit.lab.summary.text import decode, split

        places = list(dict.fromkeys(problem.path for problem in found if problem.path))
        whole = f"ckgit revise {self.name} --from FILE"
        if not places or len(places) > _MOST_MENDED:
            return whole
        document = read_yaml(split(decode(self.summary_bytes())[0]).front).value
        options = mending_options(places, summary_type(parameters_of(tool_of(document))), document)
        return f"ckgit revise {self.name} {options} (null takes a value away), or {whole}"

    def ledger(self) -> Ledger | None:
        """The ledger, or None before the first submission.

        A designed experiment has none: one that its branch was made with by hand is of another design's jobs.

        Raises:
            CkgitError: EVIDENCE_MISSING, when it is there and cannot be read, or lists the jobs of another design.
        """
        ledger = self.any_ledger()
        if ledger and (other := self.other_design(ledger.design, ledger.commit)):
            raise self.not_its_ledger(other)
        return ledger

    def any_ledger(self) -> Ledger | None:
        """The ledger, whosever jobs it lists.

        Raises:
            CkgitError: EVIDENCE_MISSING, when it is there and cannot be read.
        """
        from ckgit.experiment.jobs import Ledger

        content = self.ledger_bytes()
        return None if content is None else self._parsed(Ledger, content, "the ledger", "jobs.json")

    def ledger_bytes(self) -> bytes | None:
        """`jobs.json` as committed; None before the first submission.

        Raises:
            CkgitError: EVIDENCE_MISSING, git has lost it.
        """
        path = f"{self.folder}/jobs.json"
        content = None if self.state is State.DESIGNED else self.read(path)
        if content is None and self.state is not State.DESIGNED and tree_entries(self.root, self.tip, path):
            what = "git has lost the ledger, so that nothing can be said of the jobs that it lists"
            onward = "git fsck says what else is missing; git fetch --refetch REMOTE brings back what a remote has"
            where = f"exp/{self.name}:{path}"
            raise CkgitError(what, code=Exit.EVIDENCE_MISSING, where=where, state="nothing was done", next=onward)
        return content

    def other_design(self, design: str, commit: str) -> str:
        """Hash of the design whose jobs a ledger lists, where that is not this branch's; empty where it is.

        Args:
            design: hash that the ledger names; empty in one of before it was kept, which the scaffold commit tells.
            commit: scaffold commit that the ledger names; may be empty.
        """
        own = self.design_digest
        other = design or (design_of(self.root, self.name, commit) if commit and own else None)
        return other if own and other and other != own else ""

    def not_its_ledger(self, other: str) -> CkgitError:
        """The error for a ledger of another design's jobs, whose hash is given."""
        return CkgitError(
            f"the ledger lists the jobs of another design (hash {other[:12]}; this branch's is {str(self.design_digest)[:12]})",
            code=Exit.EVIDENCE_MISSING,
            where=f"exp/{self.name}:{self.folder}/jobs.json",
            state="nothing was done, and nothing of those jobs is used",
            next=f"ckgit revise {self.name} begins anew without them, or revert the commit that brought the file",
        )

    def kept_jobs(self) -> KeptJobs | None:
        """Jobs that ran for an earlier design and need not run again; None where there are none.

        Raises:
            CkgitError: EVIDENCE_MISSING, when the file is there and cannot be read.
        """
        content = self.read(f"{self.folder}/kept.json")
        if content is None:
            return None
        from ckgit.experiment.design.kept import FILE, KeptJobs

        return self._parsed(KeptJobs, content, "what is kept", FILE)

    def defaults(self) -> Mapping[str, Any] | None:
        """The parameters' defaults that the experiment was scaffolded with; None before that, and where an older ckgit did it.

        Raises:
            CkgitError: EVIDENCE_MISSING, when they are there and cannot be read.
        """
        path = f"{self.folder}/defaults.json"
        content = None if self.state is State.DESIGNED else self.read(path)
        if content is None:
            return None
        return self._parsed(self.summary.summary.parameters, content, "the defaults", "defaults.json").given()

    def estimate(self) -> Estimate | None:
        """What the experiment was expected to take; None where ckgit did not estimate this design.

        Raises:
            CkgitError: EVIDENCE_MISSING, when it is there and cannot be read.
        """
        from ckgit.experiment.estimates.file import FILE, Estimate

        content = self.read(f"{self.folder}/{FILE}")
        found = None if content is None else self._parsed(Estimate, content, "the estimate", FILE)
        return found if found and found.design == self.summary.summary.digest else None  # a change by hand was not estimated

    def _parsed(self, model: type[M], content: bytes, what: str, file: str) -> M:
        """A file of the experiment's folder, held against its model.

        Raises:
            CkgitError: EVIDENCE_MISSING, it cannot be read; TOOL_MISSING, a newer ckgit wrote it.
        """
        from pydantic import ValidationError

        try:
            return model.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            damaged = CkgitError(
                f"{what} cannot be read ({place}: {first['msg']})" if place else f"{what} cannot be read ({first['msg']})",
                code=Exit.EVIDENCE_MISSING,
                where=f"exp/{self.name}:{self.folder}/{file}",
                state="nothing was done",
                next=f"git log -p exp/{self.name} -- {self.folder}/{file} shows which commit broke it; revert that one",
            )
            raise newer_version(self.name, self.version) or damaged from None


def needed_summary(summary: bytes | None, name: str, tip: str) -> bytes:
    """A summary that was read, which must be there.

    Raises:
        CkgitError: EVIDENCE_MISSING, it is not.
    """
    if summary is None:
        raise CkgitError(
            f"experiments/{name}/experiment_summary.md is not there, so the state cannot be told",
            code=Exit.EVIDENCE_MISSING,
            where=f"exp/{name} at {tip[:12]}",
            next=f"git log exp/{name} -- experiments/{name} shows which commit removed it; revert that one",
        )
    return summary

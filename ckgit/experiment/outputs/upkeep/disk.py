"""What lies on disk, and what was removed: `--json` of `ckgit clean`."""

from pydantic import Field

from ckgit.experiment.design.fields import Frozen
from ckgit.experiment.outputs.fields import Advice, Commands, CommitId, PrintedDocument
from ckgit.experiment.state import State

_Bytes = Field(description="Of all files in it; links are not followed.")


class ListedCheckpoint(Frozen):
    """A checkpoint on disk."""

    run: str
    path: str = Field(description="Absolute.")
    bytes: int = _Bytes
    sha256: str = Field(description="As its training left it in its list; empty where that does not say.")
    again: str = Field(description="What makes it again, or why nothing does.")


class ListedTree(Frozen):
    """A work tree."""

    path: str
    cluster: str
    bytes: int = _Bytes
    ours: bool = Field(description="false: another clone's jobs ran there, or another lab's; it is never touched.")
    present: bool = Field(description="Whether the experiment's ledger names it.")
    exported: int = Field(description="Bytes that were written from a commit, from which they can be written again.")
    logs: dict[str, int] = Field(description="By run: bytes of what its jobs left beside checkpoints.")
    checkpoints: tuple[ListedCheckpoint, ...]


class ListedRemoval(Frozen):
    """A folder that was removed, or with --dry-run would be."""

    path: str
    bytes: int
    sha256: str


class LeftOnDisk(Frozen):
    """Something of the kind that was asked for, which stays."""

    path: str
    why: str


class CleanedExperiment(Frozen):
    """An experiment's disk, and what became of it."""

    experiment: str
    lifecycle_state: State | None = Field(description="Null where no experiment here has this name.")
    over: str = Field(description="`closed`, `merged` or `without a branch` where no step follows any more; else empty.")
    bytes: int = Field(description="Of all its work trees, before anything was removed.")
    trees: tuple[ListedTree, ...]
    removed: tuple[ListedRemoval, ...] = ()
    stays: tuple[LeftOnDisk, ...] = ()
    commit: CommitId | None = Field(default=None, description="That records what was removed; null where none was made.")


class CleanDocument(PrintedDocument):
    """What experiments hold on this machine's disks."""

    experiments: tuple[CleanedExperiment, ...]
    dry_run: bool
    advice: Advice
    next: Commands

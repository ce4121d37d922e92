"""A branch that was deleted or archived: `--json` of `ckgit delete` and `ckgit archive`."""

from pydantic import Field

from ckgit.experiment.outputs.fields import Advice, Commands, CommitId, PrintedDocument


class DeleteDocument(PrintedDocument):
    """An experiment whose branch was deleted, or brought back."""

    experiment: str
    commit: CommitId = Field(description="Of its branch.")
    undone: bool = Field(description="Whether the branch was brought back.")
    kept_as: str = Field(description="The ref that keeps it.")
    bytes: int = Field(description="On this machine's disks, where they stay.")
    authority: bool = Field(description="Whether the authority's branch was deleted, too.")
    dry_run: bool
    advice: Advice
    next: Commands


class ArchiveDocument(PrintedDocument):
    """An experiment that was archived, or restored."""

    experiment: str
    file: str = Field(description="The archive.")
    bytes: int = Field(description="Of it; of one that would be written, of the files of work trees in it.")
    sha256: str = Field(description="Of it; empty where it was not written.")
    commit: CommitId = Field(description="Of the branch.")
    refs: tuple[str, ...] = Field(description="What it has of git.")
    files: int = Field(description="Files of work trees that it has.")
    restored: bool
    dry_run: bool
    removed: bool = Field(description="Whether the branch was deleted here.")
    advice: Advice
    next: Commands

"""A lab and what it has: `--json` of `ckgit init`, `models`, `hooks`, `worker` and `schema`."""

from typing import Literal

from pydantic import Field

from ckgit.experiment.card import ModelCard
from ckgit.experiment.design.fields import Frozen
from ckgit.experiment.outputs.fields import Advice, Commands, CommitId, PrintedDocument
from ckgit.experiment.stage import Stage


class InitDocument(PrintedDocument):
    """A lab that was made, or with --dry-run would be."""

    lab: str = Field(description="Its folder.")
    branch: str = Field(description="The default branch.")
    files: tuple[str, ...] = Field(description="New ones; none where it is a lab already.")
    hooks: tuple[str, ...] = Field(description="Hooks of ckgit's that were asked for, and that it has now.")
    dry_run: bool


class ModelDocument(PrintedDocument):
    """A model card that was added, or with --dry-run would be."""

    model: str = Field(description="Its name.")
    path: str = Field(description="Of the card, in the lab.")
    changed: bool = Field(description="Whether the file is another one now.")
    commit: CommitId | None = Field(description="Null where none was made.")
    card: ModelCard
    advice: Advice
    next: Commands


class ListedModel(Frozen):
    """A model card of the lab."""

    model: str = Field(description="Its name.")
    family: str
    parameters: int
    dtype: str
    folder: str | None = Field(description="Where its files are on this machine; null where they are not; `problem` says why.")
    problem: str | None


class ModelsDocument(PrintedDocument):
    """The model cards of a lab."""

    models: tuple[ListedModel, ...]


class ListedHook(Frozen):
    """A hook of ckgit's that a repository of this kind runs."""

    hook: str = Field(description="Its name, as git calls it.")
    installed: Literal["installed", "absent", "changed"] = Field(
        description="changed: somebody edited ckgit's file, or another ckgit wrote it."
    )
    path: str = Field(description="Of the file that has, or would have, ckgit's part.")
    before: str | None = Field(description="The hook that was there before, which runs first; null where there was none.")


class HooksDocument(PrintedDocument):
    """The hooks of a repository."""

    folder: str = Field(description="Where git looks for them.")
    own: bool = Field(description="Whether that is the repository's own; ckgit writes into no other.")
    hooks: tuple[ListedHook, ...]
    advice: Advice
    next: Commands


class ListedWorker(Frozen):
    """A worker that is installed."""

    worker: str = Field(description="Its name, as `ckgit worker` takes it.")
    tool: str = Field(description="As designs name it.")
    stage: Stage
    package: str
    reads: str
    writes: str


class WorkersDocument(PrintedDocument):
    """The workers that are installed."""

    workers: tuple[ListedWorker, ...]


class PreviewedFile(Frozen):
    """A file that a worker rendered."""

    path: str
    bytes: int


class PreviewDocument(PrintedDocument):
    """What a scaffolding worker rendered, or with --dry-run would: nothing of it is committed."""

    worker: str
    experiment: str
    folder: str | None = Field(description="Where the files are; null with --dry-run.")
    files: tuple[PreviewedFile, ...]


class ListedSchema(Frozen):
    """A JSON schema of ckgit's."""

    name: str
    describes: str


class SchemasDocument(PrintedDocument):
    """The JSON schemas that `ckgit schema NAME` prints."""

    schemas: tuple[ListedSchema, ...]

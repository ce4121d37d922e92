"""A lab and what it has: `--json` of `ckgit init`, `models`, `hooks`, `worker` and `schema`."""

from typing import Any, Literal

from pydantic import Field

from ckgit.experiment.card import HubSource, ModelCard
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


class FetchedModel(Frozen):
    """What was fetched in the hub, or with --dry-run would be."""

    source: HubSource
    folder: str = Field(description="Where the files are, or would go.")
    files: dict[str, int] = Field(description="Bytes of each file.")


class ModelDocument(PrintedDocument):
    """A model card that was added, or with --dry-run would be."""

    model: str = Field(description="Its name.")
    path: str = Field(description="Of the card, in the lab.")
    changed: bool = Field(description="Whether the file is another one now.")
    commit: CommitId | None = Field(description="Null where none was made.")
    card: ModelCard | None = Field(description="Null where the files would have to be fetched first.")
    fetched: FetchedModel | None = Field(description="Null for a folder, and where the files are here already.")
    advice: Advice
    next: Commands


class ListedModel(Frozen):
    """A model card of the lab."""

    model: str = Field(description="Its name.")
    family: str
    parameters: int
    dtype: str
    bytes: int = Field(description="Of all its files.")
    folder: str | None = Field(description="Where its files are on this machine; null where they are not; `problem` says why.")
    problem: str | None
    license: str | None = Field(description="As the folder names it; null where it does not, or is not here.")


class ModelsDocument(PrintedDocument):
    """The model cards of a lab."""

    models: tuple[ListedModel, ...]


class ShowModelDocument(PrintedDocument):
    """One model card of a lab."""

    path: str = Field(description="Of the card, in the lab.")
    card: ModelCard
    folder: str | None = Field(description="Where its files are on this machine; null where they are not; `problem` says why.")
    problem: str | None
    license: str | None = Field(description="As the folder names it; null where it does not, or is not here.")


class ShownMessage(Frozen):
    """A turn of a conversation."""

    role: str = Field(description="user or assistant.")
    content: str


class ShownToken(Frozen):
    """A token of a row as it is rendered for a run."""

    id: int
    text: str = Field(description="What the tokenizer makes of it alone.")
    trained: bool = Field(description="Whether it is trained; otherwise it is sent, and its loss is masked.")


class DataRow(Frozen):
    """An example as it is read."""

    split: str
    place: str = Field(description="Where it stands in the file, e.g. line 3.")
    system: str | None = Field(description="The row's own system message.")
    history: tuple[ShownMessage, ...] = Field(description="The turns before its input.")
    input: str | None = Field(description="Null where it is not said which columns are meant.")
    output: str | None
    rejected: str | None = Field(description="Of a preference, the answer that is worse than its output.")
    columns: dict[str, Any] = Field(description="The row itself.")
    tokens: tuple[ShownToken, ...] | None = Field(description="Null where it is not rendered for a run.")
    rejected_tokens: tuple[ShownToken, ...] | None = Field(description="The same with the answer that is worse.")


class DataDocument(PrintedDocument):
    """A data set as it is read."""

    data: str | None = Field(description="Its name in the design; null of a file.")
    path: str = Field(description="Of the file or folder; of several files, all.")
    sha256: str
    shape: str = Field(description="What a row holds: columns, template, alpaca, messages, sharegpt or preference.")
    columns: tuple[str, ...]
    splits: dict[str, int] = Field(description="Examples by split.")
    run: str | None = Field(description="The run for which rows are rendered.")
    rows: tuple[DataRow, ...] = Field(description="The first ones of each split.")


class AddedDataDocument(PrintedDocument):
    """A data set that was brought in, or with --dry-run would be."""

    data: str = Field(description="Its name.")
    files: dict[str, int] = Field(description="Bytes by path, in the lab or under data_root.")
    sha256: str
    splits: dict[str, int] = Field(description="Examples by split.")
    design: str = Field(description="What to write into a design, as YAML.")
    commit: CommitId | None = Field(description="Null where none was made.")
    advice: Advice
    next: Commands


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

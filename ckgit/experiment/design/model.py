"""The front matter of `experiment_summary.md` as typed, frozen models.

The design is what the researcher decides. `state` and `recorded` are what ckgit writes itself. Each field's description is its entry
in the reference and in the JSON schema. A document is read with the parameters of its own tool: see `by_tool`.
"""

import datetime
import hashlib
import json
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, SerializeAsAny, model_validator

from ckgit.experiment.design.claim import Claim as Claim  # noqa: PLC0414 - a part of the design, as these three
from ckgit.experiment.design.compute import Compute as Compute  # noqa: PLC0414
from ckgit.experiment.design.compute import Resources as Resources  # noqa: PLC0414
from ckgit.experiment.design.compute import RunCompute as RunCompute  # noqa: PLC0414
from ckgit.experiment.design.data import DataSet as DataSet  # noqa: PLC0414
from ckgit.experiment.design.data import RecordedData as RecordedData  # noqa: PLC0414
from ckgit.experiment.design.fields import Frozen as Frozen  # noqa: PLC0414 - most models need it with something of the design
from ckgit.experiment.design.fields import NonNegative, PositiveInt, Prompt, RelativePath, ScorerName
from ckgit.experiment.design.fields import Sha256 as Sha256  # noqa: PLC0414 - likewise
from ckgit.experiment.design.names import Name, task_place
from ckgit.experiment.design.parameters import Parameters
from ckgit.experiment.stage import Stage as Stage  # noqa: PLC0414 - most of those who need it need the design, too
from ckgit.experiment.state import State as State  # noqa: PLC0414 - part of the summary, and so exported with it

SCHEMA_VERSION = 1
NONE = "none"  # in place of a tool: this half of the work is not done


class RunType(StrEnum):
    """What a run is."""

    FINE_TUNED = "fine-tuned"
    CONTROL = "control"
    EVAL_ONLY = "eval-only"


class About(Frozen):
    """What the experiment is for."""

    name: Name = Field(description="Name of the experiment; its branch is exp/NAME.")
    question: Annotated[str, Field(min_length=1)] = Field(description="The question it answers, in one sentence.")
    date: datetime.date = Field(description="Day of the design (YYYY-MM-DD).")
    hypothesis: str = Field(default="", description="What is expected, in words.")
    purpose: str = Field(default="", description="Why it is worth knowing.")
    claims: tuple[Claim, ...] = Field(default=(), description="Typed parts of the hypothesis, judged by analyze.")


class Tools(Frozen):
    """Which tool does which half of the work."""

    preparation: Name = Field(default="torchtune", description="Trainer, none, or another tool that `ckgit worker` lists.")
    evaluation: Name = Field(default="inspect-ai", description="Evaluator: inspect-ai, none, or an installed worker's tool name.")

    def of(self, stage: Stage) -> str:
        """The tool of a stage."""
        return str(getattr(self, stage.tool))


class RunSpec(Frozen):
    """A run that is written out."""

    name: Name = Field(description="Name of the run; also its folder.")
    type: RunType = Field(
        default=RunType.FINE_TUNED, description="fine-tuned, control (base model) or eval-only (a checkpoint that exists)."
    )
    parameters: SerializeAsAny[Parameters] = Field(
        default_factory=Parameters.model_construct, description="What differs from the controls."
    )
    checkpoint: str | None = Field(default=None, description="eval-only: model card of the checkpoint.")
    compute: RunCompute = Field(default_factory=RunCompute.model_construct, description="What differs from compute.")

    @model_validator(mode="after")
    def _checkpoint_belongs_to_eval_only(self) -> Self:
        if (self.type is RunType.EVAL_ONLY) != (self.checkpoint is not None):
            raise ValueError("checkpoint: is needed for a run of type eval-only, and only there (a card that `ckgit models add` wrote)")
        return self


class Scorer(Frozen):
    """A scorer with its arguments: one of inspect-ai by its name, or one of the lab's own."""

    name: ScorerName = Field(
        description="Scorer of inspect_ai.scorer, e.g. match, includes, exact, pattern; or a @scorer function of a file of the lab, "
        "e.g. tasks/scorers.py@risk_scorer."
    )
    args: dict[str, JsonValue] = Field(default={}, description="Its arguments, e.g. {location: exact, ignore_case: false}; lists, too.")

    @property
    def source(self) -> str | None:
        """Path of its file in the lab; None of one that is inspect-ai's own."""
        return self.name.rpartition("@")[0] or None

    @property
    def entry(self) -> str:
        """Name of the function."""
        return self.name.rpartition("@")[2]


class Generation(Frozen):
    """How answers are generated. Temperature 0 is greedy decoding."""

    max_tokens: PositiveInt | None = Field(default=None, description="Most tokens of an answer.")
    temperature: NonNegative | None = Field(default=None, description="Sampling temperature; 0 decodes greedily.")
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(default=None, description="Nucleus sampling.")
    top_k: PositiveInt | None = Field(default=None, description="Sample from the k likeliest tokens.")
    stop_seqs: tuple[str, ...] | None = Field(default=None, description="Text that ends an answer.")
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = Field(default=None, description="Seed of sampling.")
    max_connections: PositiveInt | None = Field(default=None, description="Samples per batch.")


class TaskSpec(Frozen):
    """An inspect-ai task and what it is given."""

    name: Name = Field(description="Name in this experiment; also the default file and function.")
    file: RelativePath | None = Field(default=None, description="Task file; tasks/NAME.py when absent.")
    function: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = Field(
        default=None, description="@task function; NAME when absent."
    )
    data: Name | None = Field(default=None, description="Data set; the run's own when absent.")
    split: str = Field(default="test", description="Split that is evaluated.")
    limit: PositiveInt | None = Field(default=None, description="Evaluate only the first so many rows.")
    prompt: Prompt | None = Field(default=None, description="Prompt of this task instead of the run's.")
    system_prompt: str | None = Field(default=None, description="System prompt of this task instead of the run's.")
    scorers: tuple[Scorer, ...] = Field(default=(), description="Scorers of this task instead of evaluation.scorers.")
    generation: Generation = Field(default_factory=Generation.model_construct, description="What differs from evaluation.generation.")
    args: dict[str, JsonValue] = Field(default={}, description="Further arguments of the task function; lists and mappings, too.")
    files: tuple[RelativePath, ...] = Field(
        default=(), description="Files of the lab that it opens; those that its file names by literal paths are found without this."
    )
    groups: tuple[str, ...] = Field(
        default=(), description="Metadata columns whose values the report shows apart; those that suit when absent."
    )
    clusters: str | None = Field(
        default=None, description="Metadata column whose rows belong together, e.g. the person who answered; intervals allow for it."
    )

    @property
    def source(self) -> str:
        """Path of the task file in the lab."""
        return self.file or f"tasks/{self.name}.py"

    @property
    def entry(self) -> str:
        """Name of the @task function."""
        return self.function or self.name


Epochs = Literal["last", "all", "best"] | Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]


class MatrixRow(Frozen):
    """Which runs are evaluated on which tasks after which epochs."""

    runs: tuple[Name, ...] | Literal["all"] = Field(default="all", description="Runs, or all.")
    tasks: tuple[Name, ...] | Literal["all"] = Field(default="all", description="Tasks, or all.")
    epochs: Epochs = Field(
        default="last",
        description="Zero-based list, last, all, or best (of a tool that keeps one). Control and eval-only runs have none.",
    )


class Evaluation(Frozen):
    """What is measured."""

    tasks: tuple[TaskSpec, ...] = Field(default=(), description="Tasks.")
    matrix: tuple[MatrixRow, ...] = Field(
        default_factory=lambda: (MatrixRow.model_construct(),),
        min_length=1,
        description="Which cells there are; every run on every task after the last epoch when absent.",
    )
    scorers: tuple[Scorer, ...] = Field(default=(), description="Scorers of every task; the task's own when absent.")
    generation: Generation = Field(default_factory=Generation.model_construct, description="Generation settings of every task.")

    def place(self, task: str, *keys: str) -> str:
        """Where a task of this name stands, as problems name it."""
        return task_place([each.name for each in self.tasks].index(task), *keys)


class Recorded(Frozen):
    """What design found outside the summary, so that scaffolding needs nothing else."""

    data: dict[str, RecordedData] = {}
    models: dict[str, Sha256] = Field(default={}, description="Digest of each model card.")
    tasks: dict[str, Sha256] = Field(default={}, description="Digest of each task file, by path.")
    files: dict[str, Sha256] = Field(
        default={}, description="Digest of each further file, by path: of files, of scorers, and of what task files open and import."
    )
    recipes: dict[str, dict[str, Any]] = Field(default={}, description="Values of each base recipe, by parameter.")


class Design(Frozen):
    """What an experiment compares."""

    schema_version: int = Field(ge=1, description=f"Version of this format: {SCHEMA_VERSION}.")
    experiment: About
    tools: Tools = Field(default_factory=Tools.model_construct)
    models: tuple[Name, ...] = Field(min_length=1, description="Model cards that are used.")
    data: dict[Name, DataSet] = Field(default={}, description="Data sets by name.")
    files: tuple[RelativePath, ...] = Field(default=(), description="Further files of the lab that every job needs.")
    controls: SerializeAsAny[Parameters] = Field(default_factory=Parameters.model_construct, description="What all runs share.")
    variables: dict[str, tuple[Any, ...]] = Field(
        default={}, description="Parameter to the values that are compared; runs are their product."
    )
    runs: tuple[RunSpec, ...] = Field(default=(), description="Runs that are written out, beside those that variables make.")
    evaluation: Evaluation = Field(default_factory=Evaluation.model_construct)
    compute: Compute = Field(default_factory=Compute.model_construct)

    @property
    def parameters(self) -> type[Parameters]:
        """The class of its runs' parameters: that of its preparation tool."""
        return type(self.controls)

    def canonical(self) -> bytes:
        """The design in its canonical form: sorted, compact JSON without what ckgit writes itself.

        The order of data sets and variables is kept: the first data set is the default one, and variables name runs in their order.
        """
        document = self.model_dump(mode="json", exclude={"state", "recorded"}, exclude_defaults=True)
        document["schema_version"] = self.schema_version
        for ordered in {"data", "variables"} & document.keys():
            document[ordered] = list(document[ordered].items())
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @cached_property
    def digest(self) -> str:
        """The design hash: SHA-256 of the canonical form, in hexadecimal. Every file of a run and of a cell names it."""
        return hashlib.sha256(self.canonical()).hexdigest()

    def __copy__(self) -> Self:
        """A copy is made to be changed, and must not keep the hash of the design before."""
        copied = super().__copy__()
        copied.__dict__.pop("digest", None)
        return copied


class Summary(Design):
    """The whole front matter: a design, its state, and what design recorded."""

    state: State = Field(description="Written by ckgit.")
    recorded: Recorded = Field(default_factory=Recorded.model_construct, description="Written by ckgit.")

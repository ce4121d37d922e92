"""`ckgit.toml`: the lab's clusters and limits."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, PrivateAttr, model_validator

from ckgit.experiment.design.model import Frozen, Resources
from ckgit.experiment.design.names import DEFAULT_WORK_ROOT, Name

# A value of an #SBATCH line: white space, a quote or a newline would end the comment and run as shell. With a dash it would be an option.
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:,@&|()\[\]*+/=][A-Za-z0-9._:,@&|()\[\]*+/=-]*$", max_length=200)]
Argument = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f]*$")]


# Who pays, where, and who gets mail: another person has other values. How the site's SLURM is spoken to (gpu_option) is the same for all.
PERSONAL = ("account", "partition", "qos", "constraint", "gpu_type", "mail_user", "mail_type")


class OwnKeys(NamedTuple):
    """What a profile has from a person's own configuration alone: jobs that they hand over get it, and no committed script has it."""

    options: Mapping[str, str] = {}  # by key of the profile, e.g. account
    setup: tuple[str, ...] = ()  # lines that follow those of the lab's profile
    file: str = ""  # the configuration


class Cluster(Frozen):
    """A place where jobs run."""

    _own: OwnKeys = PrivateAttr(default=OwnKeys())

    scheduler: Name = Field(default="local", description="local, or another installed scheduler.")
    slots: int = Field(default=1, ge=1, description="local: jobs that run at the same time.")
    work_root: str = Field(default=DEFAULT_WORK_ROOT, description="Folder of the work trees; a relative one lies in the lab.")
    models_root: str = Field(
        default="models", description="Folder that holds a folder for each model card; a relative one lies in the lab."
    )
    data_root: str = Field(default="", description="Folder of data files that the lab does not hold; empty for none.")
    setup: tuple[str, ...] = Field(
        default=(),
        description="Shell lines at the start of each job, e.g. module load. What tools need of the environment, they export. "
        "Those of a person's own configuration follow the lab's.",
    )
    training: Resources = Field(default_factory=Resources, description="Defaults of training jobs.")
    evaluation: Resources = Field(default_factory=Resources, description="Defaults of evaluation jobs.")
    container: tuple[Argument, ...] = Field(
        default=(), description='Words before each command of a job, e.g. ["apptainer", "exec", "--nv", "train.sif"].'
    )
    loggers: tuple[Literal["tensorboard", "wandb"], ...] = Field(
        default=(),
        description="What training jobs write beside their own log, in artifacts/: tensorboard, wandb (offline). It changes nothing that "
        "is trained, so it is no part of a design.",
    )
    poll_seconds: float | None = Field(
        default=None, gt=0, description="Time between two looks at the jobs, longer while nothing changes; 1 on local, 60 on slurm."
    )
    grace_seconds: float | None = Field(
        default=None, gt=0, description="Time that a file system may take to show what a job left; 2 on local, 60 on slurm."
    )
    account: Word | None = Field(default=None, description="slurm: account that is charged.")
    partition: Word | None = Field(default=None, description="slurm: partition, or several with commas.")
    qos: Word | None = Field(default=None, description="slurm: quality of service.")
    constraint: Word | None = Field(default=None, description="slurm: features that a node must have.")
    gpu_option: Literal["gpus", "gres"] = Field(default="gpus", description="slurm: how GPUs are asked for: --gpus=N or --gres=gpu:N.")
    gpu_type: Word | None = Field(default=None, description="slurm: type of GPU, e.g. a100: --gpus=a100:N or --gres=gpu:a100:N.")
    mail_user: Word | None = Field(default=None, description="slurm: who gets mail about jobs.")
    mail_type: Word = Field(default="END,FAIL", description="slurm: which events are mailed, where mail_user is given.")
    slurm_cluster: Word | None = Field(default=None, description="slurm: cluster of the same accounting that jobs go to (sbatch -M).")
    command_prefix: tuple[Argument, ...] = Field(
        default=(),
        description='slurm: words before each SLURM command, e.g. ["ssh", "login1"]; the work root must be reachable there. Where one of '
        "them is `ssh`, the command follows as one word, quoted for the shell there; another program gets its words as they are, and must "
        "keep them apart.",
    )
    advance: Resources = Field(
        default_factory=lambda: Resources(time="01:00:00", mem="2G", cpus_per_task=1),
        description="slurm: the job of `ckgit advance --detach` that goes on when others have ended.",
    )
    max_submit: int | None = Field(
        default=None, ge=1, description="slurm: most jobs in the queue at once, the user's others counted; none for no limit."
    )
    stagger_seconds: float = Field(default=0.0, ge=0, description="slurm: time between two submissions.")
    arrays: bool = Field(default=False, description="slurm: jobs of equal resources are submitted as job arrays.")
    max_array_size: int = Field(default=1000, ge=1, description="slurm: most tasks of one array; the site's MaxArraySize less one.")

    @property
    def own(self) -> OwnKeys:
        """What is handed over with jobs, beside what the scripts have of this profile."""
        return self._own

    @property
    def with_own_options(self) -> Self:
        """The profile with the options of `own` over it: so is SLURM asked, and so are no scripts written."""
        return self.model_copy(update=dict(self._own.options))

    def with_own_apart(self, lab: "Cluster", file: str) -> Self:
        """The profile as jobs are scaffolded by it, where a person's own configuration was laid over it.

        Args:
            lab: the profile as the lab alone has it; with defaults only where it has none of that name.
            file: the person's configuration.
        """
        scripted = {name: getattr(lab, name) for name in (*PERSONAL, "setup")}
        options = {name: value for name in PERSONAL if (value := getattr(self, name)) != scripted[name]}
        begins_alike = self.setup[: len(lab.setup)] == lab.setup  # with a copy of the lab's lines, which are run in any case
        apart = self.model_copy(update=scripted)
        apart._own = OwnKeys(options, self.setup[len(lab.setup) :] if begins_alike else self.setup, file)  # noqa: SLF001 - of this class
        return apart


# What job scripts are rendered from; the rest of a profile says where and how they are handed over.
_RENDERED = frozenset({"setup", "container", "training", "evaluation", "account", "partition", "qos", "constraint"}) | frozenset(
    {"gpu_option", "gpu_type", "mail_user", "mail_type", "loggers"}
)
PROFILE = "cluster.json"  # in the experiment's folder


class RenderedProfile(Frozen):
    """`cluster.json`: the cluster profile for which job scripts were rendered last, so that they can be rendered again."""

    cluster: Name = Field(description="Its name in ckgit.toml.")
    profile: Cluster = Field(description="What of it scripts are rendered from; the rest is not kept.")

    @classmethod
    def of(cls, name: str, cluster: Cluster) -> "RenderedProfile":
        """The profile of that name."""
        return cls(cluster=name, profile=cluster)

    def dump(self) -> bytes:
        """The bytes of cluster.json."""
        kept = self.profile.model_dump(mode="json", include=set(_RENDERED), exclude_defaults=True)
        return (json.dumps({"cluster": self.cluster, "profile": kept}, indent=2) + "\n").encode()


# What may change while jobs are followed.
_LIMITS = ("slots", "poll_seconds", "grace_seconds", "max_submit", "stagger_seconds", "arrays", "max_array_size")


def with_limits(cluster: Cluster, now: Cluster) -> Cluster:
    """A profile with the limits of a later one."""
    return cluster.model_copy(update={name: getattr(now, name) for name in _LIMITS})


def place(cluster: Cluster) -> dict[str, Any]:
    """Where a profile hands jobs over, as the ledger keeps it: looked for elsewhere, they would be lost."""
    return {name: getattr(cluster, name) for name in ("scheduler", "slurm_cluster", "command_prefix")}


def elsewhere(cluster: Cluster, ledger: Mapping[str, Any]) -> str:
    """How a profile points elsewhere than to where the jobs of a ledger (as a document) were handed over; empty where it does not."""
    both = [(name, _words(value), _words(ledger.get(name))) for name, value in place(cluster).items()]
    return ", ".join(f"{name} is {now} and was {before}" for name, now, before in both if now != before)


def as_handed_over(cluster: Cluster, ledger: Mapping[str, Any]) -> Cluster:
    """The profile as it was when the jobs of a ledger (as a document) were handed over: so they are found, wherever it points now."""
    prefix = tuple(ledger.get("command_prefix") or ())
    update = {"scheduler": ledger["scheduler"], "slurm_cluster": ledger.get("slurm_cluster"), "command_prefix": prefix}
    return cluster.model_copy(update=update)


def _words(value: Any) -> str:
    return (value if isinstance(value, str) else " ".join(value or ())) or "not set"


def gpu_request(resources: Resources, cluster: Cluster) -> str:
    """The option that asks SLURM for the GPUs of a job that has some, in the cluster's syntax."""
    kind, nodes = f"{cluster.gpu_type}:" if cluster.gpu_type else "", resources.nodes or 1
    gpus = (resources.gpus or 0) // nodes  # where there are several, each has as many
    if nodes > 1 and cluster.gpu_option == "gpus":
        return f"--gpus-per-node={kind}{gpus}"
    return f"--gpus={kind}{gpus}" if cluster.gpu_option == "gpus" else f"--gres=gpu:{kind}{gpus}"


class ReviewConfig(Frozen):
    """Who may let an experiment run that others ask for, and what it may cost without them."""

    approvers: tuple[str, ...] = Field(default=(), description="Who approves experiments, by their names where pull requests are made.")
    gpu_hours: float | None = Field(default=None, ge=0, description="An experiment that is expected to take more needs an approver.")
    gpu_hours_per_month: float | None = Field(
        default=None, ge=0, description="An experiment needs an approver by which its author would take more in these 30 days."
    )


class ReproduceConfig(Frozen):
    """By how much a second execution may differ and still count as the same; where nothing is stated, each digit counts."""

    loss_tolerance: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="By how much a loss may differ, at each step. Checkpoints may differ then."
    )
    score_tolerance: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="By how much a metric may differ. Single answers may differ then."
    )


class SignatureConfig(Frozen):
    """Whether the steps of experiments must be signed, and by whom."""

    required: bool = Field(default=False, description="Whether each step must be signed with an ssh key of an allowed signer.")
    allowed_signers: str = Field(default="", description="File of the default branch that lists them, as ssh's `allowed_signers` do.")

    @model_validator(mode="after")
    def _names_whom(self) -> Self:
        if self.required and not self.allowed_signers:
            raise ValueError("allowed_signers must name a file of the default branch where signatures are required")
        return self


class LabConfig(Frozen):
    """The whole of ckgit.toml."""

    schema_version: int = 1
    name: Name = Field(description="Name of the lab; part of the work trees' paths.")
    default_cluster: Name = "local"
    authority: str = Field(default="", description="Remote that decides who owns a submission; empty for none.")
    max_log_bytes: int = Field(default=5_000_000, ge=1, description="A larger log stays in the work tree; its digest is committed.")
    reuse: Literal["ask", "always", "never"] = Field(
        default="ask", description="Whether a new design takes over what a training of the lab left that was made from the same."
    )
    clusters: dict[Name, Cluster] = Field(default_factory=lambda: {"local": Cluster()})
    review: ReviewConfig = ReviewConfig()
    reproduce: ReproduceConfig = ReproduceConfig()
    signatures: SignatureConfig = SignatureConfig()

"""`ckgit.toml`: the lab's clusters and limits."""

from __future__ import annotations

from pydantic import Field

from ckgit.experiment.design import Frozen, Resources
from ckgit.experiment.names import Name

DEFAULT_WORK_ROOT = ".ckgit/work"


class Cluster(Frozen):
    """A place where jobs run."""

    scheduler: Name = Field(default="local", description="local, or another installed scheduler.")
    slots: int = Field(default=1, ge=1, description="local: jobs that run at the same time.")
    work_root: str = Field(default=DEFAULT_WORK_ROOT, description="Folder of the work trees; a relative one lies in the lab.")
    models_root: str = Field(
        default="models", description="Folder that holds a folder for each model card; a relative one lies in the lab."
    )
    data_root: str = Field(default="", description="Folder of data files that the lab does not hold; empty for none.")
    setup: tuple[str, ...] = Field(default=(), description="Shell lines at the start of each job, e.g. module load.")
    training: Resources = Field(default_factory=Resources, description="Defaults of training jobs.")
    evaluation: Resources = Field(default_factory=Resources, description="Defaults of evaluation jobs.")
    poll_seconds: float = Field(default=1.0, gt=0, description="Time between two looks at the jobs.")


class LabConfig(Frozen):
    """The whole of ckgit.toml."""

    schema_version: int = 1
    name: Name = Field(description="Name of the lab; part of the work trees' paths.")
    default_cluster: Name = "local"
    authority: str = Field(default="", description="Remote that decides who owns a submission; empty for none.")
    max_log_bytes: int = Field(default=5_000_000, ge=1, description="A larger log stays in the work tree; its digest is committed.")
    clusters: dict[Name, Cluster] = Field(default_factory=lambda: {"local": Cluster()})

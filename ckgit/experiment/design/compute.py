"""What jobs ask of the scheduler."""

from typing import Annotated, Literal

from pydantic import Field

from ckgit.experiment.design.fields import Duration, Frozen, Memory, PositiveInt
from ckgit.experiment.design.names import Name


class Resources(Frozen):
    """What one job asks of the scheduler."""

    time: Duration | None = Field(default=None, description='Longest run time, "HH:MM:SS" in quotes.')
    mem: Memory | None = Field(default=None, description="Memory, e.g. 16G.")
    gpus: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="GPUs, of all its nodes together; more than one trains distributed."
    )
    nodes: PositiveInt | None = Field(
        default=None, description="Nodes that share the GPUs; one when absent. More need SLURM, and a trainer that can."
    )
    cpus_per_task: PositiveInt | None = Field(default=None, description="CPU cores.")


class Compute(Frozen):
    """Resources per stage."""

    cluster: Name | None = Field(default=None, description="Cluster profile of ckgit.toml; its default when absent.")
    training: Resources = Field(default_factory=Resources.model_construct, description="Each training job.")
    evaluation: Resources = Field(default_factory=Resources.model_construct, description="Each evaluation job.")
    evaluation_jobs: Literal["cell", "checkpoint"] = Field(
        default="cell",
        description="checkpoint: all cells of one checkpoint share a job, which loads the model once; its time limit holds for them all.",
    )
    on_out_of_memory: Literal["fail", "smaller_batch"] = Field(
        default="fail",
        description="smaller_batch: where a training ran out of memory, `ckgit retry` halves its batch_size and accumulates twice as many.",
    )


class RunCompute(Frozen):
    """Resources of one run that differ from the experiment's."""

    training: Resources = Field(default_factory=Resources.model_construct)
    evaluation: Resources = Field(default_factory=Resources.model_construct)

"""`merged.json`: what a training says of the models that it merged."""

from pydantic import Field

from ckgit.experiment.design.model import Frozen

MERGED = "merged.json"


class TrlTraining(Frozen):
    """What a training with TRL says in its own terms."""

    merged_by: tuple[float, ...] = Field(
        default=(),
        description="Of each checkpoint with an adapter: by how much the logits of the merged model, which is evaluated, differ at most "
        "from those of adapter and base, as a share of the largest.",
    )
    loaded_by: float | None = Field(
        default=None,
        description="Of an adapter that is evaluated beside its quantized base: by how much the logits of the last epoch, loaded so, "
        "differ at most from those that were trained, as a share of the largest.",
    )

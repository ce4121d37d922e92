"""`merged.json`: what a training says of the models that it merged."""

from pydantic import Field

from ckgit.experiment.design.model import Frozen

MERGED = "merged.json"


class Packed(Frozen):
    """What rows were packed into."""

    rows: int
    tokens: int
    sequences: int
    packing_length: int

    @property
    def sentence(self) -> str:
        """For a report."""
        full = f"{self.tokens / (self.sequences * self.packing_length):.0%}"
        many = "one sequence" if self.sequences == 1 else f"{self.sequences:,} sequences"
        return f"{self.rows:,} rows were packed into {many} of {self.packing_length:,} tokens, {full} full."


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
    packed: Packed | None = Field(default=None, description="What rows were packed into; absent where they were not.")

"""A row of `analysis/samples.parquet`: one answer of one evaluation."""

from pydantic import Field

from ckgit.experiment.design.fields import Frozen

Score = float | int | str | bool | None

class AnswerRow(Frozen):
    """One answer. The columns are these, in this order, whatever was evaluated; a map has its keys in order of the alphabet."""

    run: str = Field(description="Name of the run.")
    task: str = Field(description="Name of the task.")
    epoch: int | None = Field(description="Epoch of the checkpoint; null where it has none.")
    checkpoint: str | None = Field(description="Folder of the checkpoint, e.g. best, where that is not an epoch's.")
    id: str = Field(description="The row's id, as text.")
    repeat: int = Field(description="Which answer to this row it is, from 1.")
    target: str | None = Field(description="What was expected; of several the JSON list.")
    answer: str | None = Field(description="What the scorer took for the answer.")
    scores: dict[str, float] = Field(description="By scorer, of those that are numbers or grades (correct 1, partly 0.5, incorrect 0).")
    score_texts: dict[str, str] = Field(description="By scorer, those that are other texts.")
    probabilities: dict[str, float] = Field(description="How probable the model found each answer, where a scorer says so.")
    metadata: dict[str, str] = Field(description="Other columns of the row, as text: numbers and truths as in JSON.")

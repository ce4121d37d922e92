"""Data sets of a design: where their rows are and how they are read; and what design measured of them."""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ckgit.experiment.design.fields import Frozen, RelativePath, Sha256
from ckgit.formats.rows.row import DataError
from ckgit.formats.rows.shapes import Layout, Shape
from ckgit.formats.rows.templates import columns_of

Column = Annotated[str, Field(min_length=1)]
Fraction = Annotated[float, Field(gt=0, le=1)]
_TOO_MUCH = 1 + 1e-9


class Generator(Frozen):
    """A function of the lab that makes rows."""

    function: Annotated[str, Field(pattern=r"^[A-Za-z0-9._+/ -]+\.py@[A-Za-z_][A-Za-z0-9_]*$")] = Field(
        description="FILE@NAME, e.g. data/make.py@rows: takes args by name and seed, hands back a list of rows, or lists by split."
    )
    args: dict[str, Any] = Field(default={}, description="Its arguments.")
    seed: Annotated[int, Field(ge=0)] = Field(default=0, description="Given as seed.")

    @property
    def file(self) -> str:
        """The path of its code in the lab."""
        return self.function.partition("@")[0]


class DataSet(Frozen):
    """Where rows are, and what of them is given to the model and expected from it."""

    path: RelativePath | None = Field(
        default=None,
        description="File (.json, .jsonl, .csv, .tsv, .parquet) or folder of Hugging Face datasets in the lab, "
        "or under the cluster's data_root when the lab does not hold it.",
    )
    files: dict[Column, RelativePath] = Field(default={}, description="Instead of path: a file for each split, by name of the split.")
    generator: Generator | None = Field(
        default=None, description="Instead of path: a function that makes the rows when it is designed; they are committed."
    )
    sha256: Sha256 | None = Field(
        default=None,
        description="Digest the file must have; needed for a file outside the lab. "
        "Of a folder, or of several files: that of what sha256sum prints of them, in order of their paths.",
    )
    input_column: str = Field(default="input", description="Column with what the model is given.")
    output_column: str = Field(default="output", description="Column with what it should answer: text, a number, true or false.")
    rejected_column: Column | None = Field(
        default=None, description="Column with an answer that is worse than the output, which makes each row a preference."
    )
    shape: Literal["columns", "alpaca", "messages", "sharegpt", "preference"] | None = Field(
        default=None,
        description="What a row holds: two columns; Alpaca's instruction, input and output; messages of role and content; "
        "ShareGPT's conversations of from and value; a preference, of prompt, chosen and rejected, each a text or messages. "
        "Found out and told of when absent.",
    )
    input: str | None = Field(
        default=None, description="What the model is given, made of columns: {question}, {choices[0]}, {choices[answer]}."
    )
    output: str | None = Field(default=None, description="What it should answer, made of columns likewise.")
    system: str | None = Field(default=None, description="A row's system message, made of columns likewise.")
    turns: Literal["last", "each"] = Field(
        default="last", description="Of a conversation: train the last answer, or make an example of each."
    )
    split_column: Column = Field(default="split", description="Column that names a row's split; rows without it belong to train.")
    fractions: dict[Column, Fraction] = Field(
        default={}, description="Share of the rows by split, for a file without splits, e.g. {train: 0.8, test: 0.2}."
    )
    split_seed: Annotated[int, Field(ge=0)] = Field(default=0, description="Another seed divides the rows by fractions otherwise.")

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if sum((self.path is not None, bool(self.files), self.generator is not None)) != 1:
            raise ValueError("path: names a file, files: one for each split, generator: a function that makes rows; exactly one is needed")
        self._check_shape()
        if self.files and self.fractions:
            raise ValueError("files: has the splits already; leave fractions out")
        if self.split_seed and not self.fractions:
            raise ValueError("split_seed: chooses rows for fractions:, which are missing")
        if sum(self.fractions.values()) > _TOO_MUCH:
            raise ValueError(f"fractions: are more than 1 together ({sum(self.fractions.values()):g})")
        return self

    def _check_shape(self) -> None:
        """What a row holds is said once."""
        columns = (self.input_column, self.output_column) != ("input", "output")
        if (self.input is None) != (self.output is None):
            raise ValueError("input: and output: make texts of columns together; write both, or input_column and output_column")
        if self.input is None and self.system is not None:
            raise ValueError("system: makes a text of columns beside input: and output:, which are missing")
        if self.input is not None and self.shape is not None:
            raise ValueError(f"shape: {self.shape} says what a row holds, and input: and output: do, too; leave one out")
        if columns and (self.input is not None or self.shape not in (None, "columns")):
            raise ValueError("input_column and output_column name two columns, and shape: or input: says that a row holds something else")
        if self.rejected_column and self.shape not in (None, "columns"):
            raise ValueError(f"rejected_column: names a column beside input and output, and shape: {self.shape} says that there are none")
        if self.rejected_column and self.input is None and not columns:
            raise ValueError("rejected_column: makes preferences of columns; write input_column and output_column, too")
        if self.turns == "each" and (self.input is not None or columns or self.shape in ("columns", "alpaca", "preference")):
            raise ValueError("turns: each makes an example of each answer of a conversation, and these rows are none")
        _check_templates(self.input, self.output, self.system)

    @property
    def paths(self) -> tuple[str, ...]:
        """Data files that the design names: one path, or one for each split; none where they are made."""
        return (self.path,) if self.path else tuple(self.files.values())

    @property
    def named(self) -> str:
        """The same in what people read."""
        return self.generator.function if self.generator else ", ".join(dict.fromkeys(self.paths))

    @property
    def is_told(self) -> bool:
        """Whether the design says what a row holds."""
        return self.shape is not None or self.input is not None or (self.input_column, self.output_column) != ("input", "output")

    def layout(self, shape: Shape | None = None) -> Layout:
        """How rows become examples.

        Args:
            shape: what was found out, where the design does not say it.
        """
        return Layout(
            shape=Shape.TEMPLATE if self.input is not None else Shape(self.shape or shape or Shape.COLUMNS),
            input_column=self.input_column,
            output_column=self.output_column,
            rejected_column=self.rejected_column or "",
            input=self.input or "",
            output=self.output or "",
            system=self.system or "",
            turns=self.turns,
            split_column=self.split_column,
        )

    def has_preferences(self, recorded: "RecordedData | None") -> bool:
        """Whether each row has two answers, of which one is better."""
        return bool(self.rejected_column) or "preference" in (self.shape, recorded.shape if recorded else None)

    def reading(self, recorded: "RecordedData | None", name: str) -> tuple[str, str]:
        """What decides which examples it has, whatever its files are called: digest of the bytes, and how they are read."""
        how = self.model_dump(mode="json", exclude={"path", "files", "generator", "sha256"}, exclude_defaults=True)
        return recorded.sha256 if recorded else name, json.dumps([how, list(self.files)], sort_keys=True)


def _check_templates(*templates: str | None) -> None:
    try:
        for template in templates:
            columns_of(template or "")
    except DataError as error:
        raise ValueError(str(error)) from None


class RecordedData(Frozen):
    """What design measured of a data set."""

    sha256: Sha256
    bytes: int
    splits: dict[str, int] = Field(description="Examples per split.")
    longest: dict[str, int] = Field(default={}, description="Characters of the longest row per split, input and output.")
    mean: dict[str, float] = Field(default={}, description="Mean characters of a row per split, input and output.")
    files: dict[str, Sha256] = Field(default={}, description="Digest of each file, where there are several, by path.")
    shape: str | None = Field(default=None, description="What a row holds, where that was found out.")
    generator: Sha256 | None = Field(default=None, description="Digest of the file whose function made it.")
    source: Sha256 | None = Field(
        default=None, description="Digest of data/NAME.rows in the experiment's folder, which tells jobs how rows are read and divided."
    )

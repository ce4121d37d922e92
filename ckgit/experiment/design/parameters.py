"""What a run's parameters are: those that evaluation needs, and, in the class of a preparation tool, the tool's own.

A tool's class says all that is to be known of its parameters where nothing is executed: their types and texts (which the JSON schema
has), their defaults, what follows from them, what they are called elsewhere, and which checkpoints a run with them will leave.
"""

import datetime
import functools
import typing
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from ckgit.experiment.design.fields import Frozen, Prompt
from ckgit.experiment.design.names import Name

BASE_RECIPE = "base_recipe"  # the parameter, of a tool that has it, which names a set of defaults


class Product(StrEnum):
    """What a checkpoint of a preparation is."""

    WEIGHTS = "weights"  # a model folder
    PROMPT = "prompt"  # prompts, which `checkpoints.json` holds: the model card's own weights are asked with them


class PlannedCheckpoint(NamedTuple):
    """Something to evaluate that a run will leave for certain, as its tool names it beforehand."""

    name: str  # in the names of jobs and files, e.g. epoch0, best
    folder: str  # under the run's artifacts/
    epoch: int | None = None  # where it is an epoch's; epochs count from 0
    adapter: bool = False  # whether it is one alone, which is loaded beside the model that the run starts from
    quantized: bool = False  # whether that model is quantized then, as it was when the adapter was trained


BEST = "best"  # the name of the checkpoint that `epochs: best` means


def order_of_checkpoint(epoch: int | None, name: str | None) -> int:
    """What checkpoints of a run are ordered by: their epochs, before those what has none, and before all the best."""
    return epoch if epoch is not None else -2 if name == BEST else -1


def after_epochs(count: int) -> tuple[PlannedCheckpoint, ...]:
    """A checkpoint after each of so many epochs."""
    return tuple(PlannedCheckpoint(f"epoch{epoch}", f"epoch_{epoch}", epoch) for epoch in range(count))


class OwnParameters(Frozen):
    """Parameters that one tool alone has, by its own names. They stand in a design under the tool's name, and are passed on as they are.

    Elsewhere each is a parameter as any other, with its place for a name: `TOOL.NAME`, as in `TOOL.PART.NAME`.
    """

    decided: ClassVar[Mapping[str, str]] = {}  # names of the tool's that ckgit gives itself: by what, or why they are not passed on


class Parameters(Frozen):
    """Parameters that every run has, because evaluation needs them. A preparation tool's class adds its own."""

    product: ClassVar[Product] = Product.WEIGHTS
    # Values where neither the run, the controls nor a base recipe say; of all parameters that must have one.
    defaults: ClassVar[Mapping[str, Any]] = {
        "dataset_type": "chat",
        "prompt": "{input}",
        "system_prompt": "",
        "device": "cuda",
        "dtype": "bf16",
    }
    short_names: ClassVar[Mapping[str, str]] = {}  # in the names of runs
    free_text: ClassVar[Sequence[str]] = ("prompt", "system_prompt")  # text that is no word for a name: its place in a list stands for it
    synonyms: ClassVar[Mapping[str, str]] = {}  # what other tools call these parameters
    not_supported: ClassVar[Mapping[str, str]] = {}  # what other tools have, and this one has not: what to do instead
    none_such: ClassVar[Mapping[str, str]] = {}  # values that other tools have, and that nothing here is like: what can be had
    no_difference: ClassVar[frozenset[str]] = frozenset()  # parameters that change no result

    model: Name | None = Field(default=None, description="Model card to start from.")
    data: Name | None = Field(default=None, description="Data set to prepare on.")
    dataset_type: Literal["chat", "text_completion"] | None = Field(
        default=None, description="chat: the model's own template; text_completion: a base model without one."
    )
    prompt: Prompt | None = Field(default=None, description="User message; {input} is the row's input.")
    system_prompt: str | None = Field(default=None, description="System message; empty for none.")
    template_date: datetime.date | None = Field(
        default=None, description="The day that a date-dependent chat template sees; the design's date when absent."
    )
    device: Literal["cpu", "cuda"] | None = Field(default=None, description="Where it is prepared and evaluated.")
    dtype: Literal["fp32", "bf16"] | None = Field(default=None, description="Number format of the weights.")

    def given(self) -> dict[str, Any]:
        """The parameters that were written down, in declaration order."""
        return dict(_given(self))

    @classmethod
    def names(cls) -> Sequence[str]:
        """Names of all that a run may be given."""
        return _names(cls)

    @classmethod
    def derived(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG003 - for those that override it
        """What follows from a run's values for parameters that nobody gave."""
        return {}

    @classmethod
    def unused(cls, values: Mapping[str, Any]) -> Mapping[str, str]:  # noqa: ARG003
        """Parameters that mean nothing beside a run's values, each with the parameter by which it is so."""
        return {}

    @classmethod
    def checkpoints(cls, values: Mapping[str, Any]) -> Sequence[PlannedCheckpoint]:  # noqa: ARG003
        """What a run with these values will leave for certain, in order; the last of them is what `epochs: last` means.

        What a tool may leave or not, as where it stops early, is no part of it.
        """
        return after_epochs(1)

    @classmethod
    def all_defaults(cls) -> Mapping[str, Any]:
        """The defaults, and for those parameters that evaluation needs what they are everywhere."""
        return {**cls.defaults, **{name: value for name, value in Parameters.defaults.items() if name not in cls.defaults}}


def _given(values: Frozen, place: str = "") -> Iterator[tuple[str, Any]]:
    for name in type(values).model_fields:
        value = getattr(values, name)
        if isinstance(value, OwnParameters):
            yield from _given(value, f"{place}{name}.")
        elif value is not None:
            yield f"{place}{name}", value


@functools.cache
def _names(parameters: type[Frozen], place: str = "") -> tuple[str, ...]:
    found: list[str] = []
    for name, field in parameters.model_fields.items():
        own = [each for each in typing.get_args(field.annotation) if isinstance(each, type) and issubclass(each, OwnParameters)]
        found += _names(own[0], f"{place}{name}.") if own else [f"{place}{name}"]
    return tuple(found)


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of parameters by name, as a document has them: those of a tool alone in a mapping of their own."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        *around, last = name.split(".")
        owner = found
        for part in around:
            owner = owner.setdefault(part, {})
        owner[last] = value
    return found


# What a control or eval-only run can differ in: everything else only means something in preparation.
EVALUATION_PARAMETERS = tuple(Parameters.model_fields)

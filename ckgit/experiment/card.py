"""The model card: what scaffolding must know of a model without its weights."""

import hashlib
from collections.abc import Mapping

from pydantic import Field

from ckgit.experiment.design.model import Frozen, Sha256
from ckgit.experiment.design.names import Name

_PARTS = (".json", ".jinja", ".model", ".txt", ".safetensors")
_DOCUMENTS = ("license.txt", "notice.txt", "readme.txt")


def is_model_file(name: str) -> bool:
    """Whether a file of a model folder is a part of the model: weights, configuration, tokenizer, template."""
    return name.endswith(_PARTS) and not name.startswith((".", "adapter_")) and name.lower() not in _DOCUMENTS


class FileDigest(Frozen):
    """One file of the model folder."""

    sha256: Sha256
    bytes: int


def folder_digest(files: Mapping[str, FileDigest]) -> str:
    """One digest for the files of a model folder: that of what `sha256sum` prints of them, in order of their names."""
    lines = (f"{digest.sha256}  {name}\n" for name, digest in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class RopeScaling(Frozen):
    """A rule that stretches rotary embeddings. The fields after `factor` belong to Llama 3.1's rule."""

    rope_type: str
    factor: float
    low_freq_factor: float | None = None
    high_freq_factor: float | None = None
    original_max_position_embeddings: int | None = None


class Architecture(Frozen):
    """Sizes, as the Hugging Face config.json gives them."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    rms_norm_eps: float | None = Field(default=None, description="Absent where the family normalizes otherwise.")
    rope_theta: float
    rope_scaling: RopeScaling | None = None
    tie_word_embeddings: bool
    attention_bias: bool = False
    hidden_act: str = "silu"
    partial_rotary_factor: float | None = Field(default=None, description="Share of each head that is rotated, where it is not all.")
    mlp_bias: bool | None = Field(default=None, description="True where the MLP has a bias.")
    sliding_window: int | None = Field(default=None, description="Tokens that attention looks back, where that is limited.")


class Template(Frozen):
    """The chat template of the model folder."""

    sha256: Sha256
    uses_date: bool = Field(description="Whether its text depends on today's date.")


class HubSource(Frozen):
    """Where in the hub of Hugging Face the files were fetched."""

    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="Its repository, org/name.")
    revision: str = Field(pattern=r"^[0-9a-f]{40,64}$", description="The commit of that repository.")


class TrainedSource(Frozen):
    """The training of this lab that left the files."""

    experiment: Name
    run: Name
    checkpoint: str = Field(description="Its folder among those that the run left, e.g. epoch_1.")
    commit: str = Field(pattern=r"^[0-9a-f]{40,64}$", description="The experiment's commit that was looked at.")
    token: str = Field(description="The attempt that trained it.")
    model: Name = Field(description="Model card that it was trained from.")

    @property
    def in_words(self) -> str:
        """Where it is from."""
        return f"{self.checkpoint} of run {self.run} of {self.experiment} at {self.commit[:12]}, trained from {self.model}"


class ModelCard(Frozen):
    """`models/NAME.yaml`, written by `ckgit models add`."""

    schema_version: int = 1
    name: Name
    family: str = Field(
        pattern=r"^[A-Za-z0-9._-]{1,64}$", description="model_type of config.json; which of them a tool can train is its worker's to say."
    )
    model_type: str = Field(description="model_type of config.json, e.g. llama.")
    architecture: Architecture
    hub: HubSource | None = Field(default=None, description="Absent where the folder came otherwise.")
    trained: TrainedSource | None = Field(default=None, description="Absent where no experiment of the lab trained it.")
    parameters: int = Field(description="Number of weights in the checkpoint files.")
    dtype: str = Field(description="Number format of the stored weights, e.g. float32.")
    template: Template | None = Field(default=None, description="Absent for a base model without a chat template.")
    end_of_turn: tuple[int, ...] = Field(description="Token ids that end an answer.")
    checkpoint_files: tuple[str, ...] = Field(min_length=1, description="Weight files, in order.")
    files: dict[str, FileDigest] = Field(description="Every file that jobs depend on.")

    @property
    def dated(self) -> bool:
        """Whether what the model is sent depends on the day that its chat template sees."""
        return self.template is not None and self.template.uses_date


def card_path(name: str) -> str:
    """Where a model's card is, relative to the lab."""
    return f"models/{name}.yaml"

"""A run of a small model on CPUs, whose costs tests guess."""

from ckgit.experiment.card import Architecture, ModelCard
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.design.model import Resources
from ckgit.experiment.design.plan import Run
from ckgit.experiment.tools.by_tool import read_summary

SHAPE = Architecture(
    vocab_size=49152,
    hidden_size=576,
    intermediate_size=1536,
    num_hidden_layers=30,
    num_attention_heads=9,
    num_key_value_heads=3,
    head_dim=64,
    max_position_embeddings=8192,
    rms_norm_eps=1e-5,
    rope_theta=1e4,
    tie_word_embeddings=True,
)
CARD = ModelCard(
    name="m",
    family="llama",
    model_type="llama",
    architecture=SHAPE,
    parameters=134_515_008,
    dtype="float32",
    end_of_turn=(2,),
    checkpoint_files=("model.safetensors",),
    files={},
)
CPU = Resources(cpus_per_task=2)


def make(**parameters: object) -> Run:
    """The run, with these parameters."""
    document = {
        "schema_version": 1,
        "state": "designed",
        "experiment": {"name": "x", "question": "Q?", "date": "2026-11-23"},
        "models": ["m"],
        "data": {"d": {"path": "d.json"}},
        "tools": {"evaluation": "none"},
        "runs": [{"name": "a", "parameters": {"device": "cpu", "dtype": "fp32", "batch_size": 8, **parameters}}],
    }
    return build_plan(read_summary(document)).runs[0]

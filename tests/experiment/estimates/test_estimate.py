"""Costs are guesses that must move the right way."""

from ckgit.experiment.card import Architecture, ModelCard
from ckgit.experiment.design.model import Generation, Resources, Stage
from ckgit.experiment.design.plan import build_plan
from ckgit.experiment.estimates import estimate
from ckgit.experiment.estimates.guess import Guess
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


def make(**parameters):
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


def test_a_byte_tokenizer_has_a_token_a_character():
    small = CARD.model_copy(update={"architecture": SHAPE.model_copy(update={"vocab_size": 259})})
    assert (estimate.tokens(100, small), estimate.tokens(100, CARD)) == (100, 25)


def test_an_evaluation_costs_by_its_rows_and_answers():
    run, short, long = make(), Generation(max_tokens=8), Generation(max_tokens=80)
    assert estimate.evaluation(run, CARD, 100, long, CPU).seconds > estimate.evaluation(run, CARD, 100, short, CPU).seconds
    assert estimate.evaluation(run, CARD, 1000, short, CPU).seconds > estimate.evaluation(run, CARD, 100, short, CPU).seconds


def test_evaluations_that_share_a_job_start_once():
    cells = [Guess(seconds, memory, 0.0) for seconds, memory in ((20.0, 3e9), (30.0, 2e9))]
    assert estimate.in_one_job(cells) == Guess(50.0 - estimate.START[Stage.EVALUATION], 3e9, 0.0)
    assert estimate.in_one_job(cells[:1]) == cells[0]

"""Costs are guesses that must move the right way."""

from ckgit.experiment.design.model import Generation, Stage
from ckgit.experiment.estimates import estimate
from ckgit.experiment.estimates.guess import Guess
from tests.experiment.estimates.small_run import CARD, CPU, SHAPE, make


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

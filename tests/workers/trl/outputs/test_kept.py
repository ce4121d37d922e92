"""Which steps are kept and where a training stops, by its validation log alone."""

import pytest

from ckgit.experiment.results import LossPoint
from ckgit.workers.trl.outputs.kept import Keeping, KeptStep, stops


def measured(*losses):
    return [LossPoint(step=2 * number, loss=loss) for number, loss in enumerate(losses, start=1)]


@pytest.mark.parametrize(
    ("losses", "patience", "threshold", "stop"),
    [
        ((3, 2, 1), 1, 0, None),
        ((3, 2, 2), 1, 0, 6),  # it must fall
        ((3, 4), 2, 0, None),
        ((3, 4, 3.5), 2, 0, 6),  # below the one before is not below the lowest
        ((3, 4, 2, 4, 1), 2, 0, None),  # after each fall it waits anew
        ((3, 2.95, 2.9), 2, 0.1, 6),
        ((3, 2.8, 2.6), 1, 0.1, None),
        ((3, float("nan"), float("nan")), 2, 0, 6),
        ((3, 4, 5, 6), None, 0, None),
        ((3, 4, 5, 2), 2, 0, 6),  # whatever comes after
    ],
)
def test_it_stops_at_the_measurement_at_which_patience_is_exhausted(losses, patience, threshold, stop):
    assert stops(measured(*losses), patience, threshold) == stop


def test_each_epoch_is_kept_and_the_best_wherever_it_was():
    keeping = Keeping(per_epoch=3, epochs=2, keep_best=True)
    epochs = [KeptStep("epoch_0", 3, 0), KeptStep("epoch_1", 6, 1)]
    assert keeping.kept([], 2) == []
    assert keeping.kept(measured(3, 2, 2), 6) == [KeptStep("best", 4, best=True), *epochs]
    assert keeping._replace(keep_best=False).kept(measured(3, 2, 2), 6) == epochs


def test_of_one_that_may_stop_the_last_step_is_kept_and_whether_it_ends_an_epoch():
    keeping = Keeping(per_epoch=3, epochs=9, patience=2)
    assert keeping.kept(measured(3, 4, 5), 6) == [KeptStep("last", 6, 1)]
    assert keeping._replace(keep_best=True).kept(measured(3, 4), 4) == [KeptStep("best", 2, best=True), KeptStep("last", 4)]

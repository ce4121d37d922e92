"""The weights that are evaluated are those of the card, or those that training recorded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ckgit.experiment.card import folder_digest
from ckgit.experiment.jobs import FailureClass
from ckgit.experiment.results import CellResult, Checkpoint
from ckgit.jobs import script
from ckgit.workers.digests import digests
from ckgit.workers.inspect_ai import weights
from ckgit.workers.inspect_ai.codes import RefusedLogError
from ckgit.workers.inspect_ai.ready import cells_of
from tests.workers.inspect_ai.examples import BASE, LOG, TUNED, Ended, job_of, make_context, make_work_tree, run_job

EPOCH = "experiments/cap/tuned/artifacts/epoch_0"


def result(digest: str | None) -> CellResult:
    return CellResult(
        run="tuned", task="capitalization", epoch=0, log=LOG, log_sha256="0" * 64, seconds=1.0, metrics=(), samples=(), weights=digest
    )


def manifest(path: str, folder: Path) -> bytes:
    entry = Checkpoint(epoch=0, path=path, bytes=1, sha256="0" * 64, files=dict(digests(folder)))
    return json.dumps([entry.model_dump(mode="json")]).encode()


def test_the_judge_holds_what_was_evaluated_against_what_training_recorded(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    context = make_context()
    [cell] = cells_of(context, job_of(context, TUNED))
    saved, own = manifest(EPOCH, tmp_path), folder_digest(digests(tmp_path))
    assert weights.check(cell, result(own), saved).weights == own
    assert weights.check(cell, result(None), saved).weights is None  # an older log
    older = json.dumps([{"epoch": 0, "path": EPOCH, "bytes": 1, "sha256": "0" * 64}]).encode()
    assert weights.check(cell, result(own), older).weights == own
    words = r"epoch_0 that were evaluated are not those that training left; .*ckgit revise cap"
    with pytest.raises(RefusedLogError, match=words) as refused:
        weights.check(cell, result("1" * 64), saved)
    assert refused.value.failure is FailureClass.INPUT_CHANGED
    for other in (EPOCH.replace("tuned", "other"), EPOCH.replace("epoch_0", "epoch_1")):
        with pytest.raises(RefusedLogError, match=f"does not name {EPOCH}, but {other}"):
            weights.check(cell, result(own), manifest(other, tmp_path))


def test_a_control_is_held_against_its_card() -> None:
    context = make_context()
    [cell] = cells_of(context, job_of(context, BASE))
    own = folder_digest(context.cards["plain"].files)
    assert weights.check(cell, result(own), None).weights == own
    with pytest.raises(RefusedLogError, match="models/plain that were evaluated are not those that the model card names"):
        weights.check(cell, result("1" * 64), None)


@pytest.mark.slow
def test_the_log_has_one_digest_over_what_was_loaded(tuned: Ended) -> None:
    [found] = tuned.evidence().results
    assert isinstance(found, CellResult)
    assert found.weights == folder_digest(digests(tuned.work / EPOCH))


@pytest.mark.slow
def test_weights_that_are_not_the_cards_are_named_however_large(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copies = tmp_path / "models"
    shutil.copytree(models, copies)
    context = make_context(copies)
    monkeypatch.setattr(script, "MOST_HASHED", 1000)  # of the weights the script sees the size alone
    work = make_work_tree(context, copies, tmp_path / "work")
    file = copies / "plain/model.safetensors"
    with file.open("r+b") as stream:
        stream.seek(file.stat().st_size // 2)
        stream.write(bytes(1000))
    ended = Ended(context, work, run_job(context, work, BASE))
    assert ended.attempt.exit_code == 65
    evidence = ended.evidence()
    assert evidence.failure is FailureClass.INPUT_CHANGED
    assert "models/plain/model.safetensors" in evidence.reasons[0]
    assert not (work / LOG.replace("tuned", "base").replace("epoch0", "base")).exists()

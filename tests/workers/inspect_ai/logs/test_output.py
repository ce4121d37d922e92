"""What the output of a job tells."""

import pytest

from ckgit.experiment.jobs import FailureClass
from ckgit.workers.inspect_ai import worker
from ckgit.workers.inspect_ai.logs.output import progress

PLAIN = "ask          | Steps:  12/40 30% | Samples:  12/ 40 | accuracy: 0.00 | ckgit: 28/32 | HTTP retries: 0\n"


def test_progress_is_the_last_count_of_samples():
    seen = progress("Loading weights\n" + PLAIN + PLAIN.replace("12/", "40/"), [100])
    assert (seen.step, seen.steps, seen.note) == (40, 40, "samples")
    assert progress("Loading weights: 100%", [100]) is None


@pytest.mark.parametrize(
    ("text", "code", "failure", "words"),
    [
        (
            "ckgit: inspect ended with status error: ckgit: tokens differ for input 'a'\n  training: 'x'\n",
            66,
            FailureClass.TOKENS_DIFFER,
            "see different tokens for input 'a' training: 'x'",
        ),
        ("data/words.json: FAILED\nsha256sum: WARNING\n", 65, FailureClass.INPUT_CHANGED, "data/words.json"),
        ("ckgit: inspect is not on PATH: install ckgit[run]\n", 69, FailureClass.ENVIRONMENT, "inspect is not on PATH"),
        ("ModuleNotFoundError: No module named 'torch'\n", 1, FailureClass.ENVIRONMENT, "No module named 'torch'"),
        ("torch.OutOfMemoryError: CUDA out of memory.\n", 1, FailureClass.OUT_OF_MEMORY, "OutOfMemoryError"),
        ("", 137, FailureClass.OUT_OF_MEMORY, "SIGKILL"),
        ("OSError: [Errno 28] No space left on device\n", 1, FailureClass.ERROR, "disk is full"),
        ("ckgit: stopped by a signal\n", 143, FailureClass.CANCELLED, "exit code 143"),
        ("ckgit: inspect ended with status error: ValueError: bad\n", 68, FailureClass.ERROR, "status error: ValueError: bad"),
        ("Traceback\n  x\ninspect_ai.PrerequisiteError: no such model\n", 1, FailureClass.ERROR, "PrerequisiteError: no such model"),
        ("", None, FailureClass.ERROR, "said nothing"),
    ],
)
def test_reasons(text: str, code: int | None, failure: FailureClass, words: str):
    found, sentence = worker.explain(text, code)
    assert found is failure
    assert words in sentence
    assert "\n" not in sentence

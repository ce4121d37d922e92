import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckgit.experiment.jobs import FailureClass
from ckgit.workers.torchtune import worker

CUDA = """\
  File "recipe.py", line 1, in <module>
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.1 GiB
"""
CHAIN = """\
ValueError: first
The above exception was the direct cause of the following exception:
Traceback (most recent call last):
ckgit.workers.rendering.RenderError: data/words.json, train row 17 has 812 tokens, more than max_seq_len 512: 'apple'
1|3|Loss: 0.5
"""
DISTRIBUTED = """\
[rank1]: RuntimeError: mat1 and mat2 shapes cannot be multiplied
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
"""


@pytest.mark.parametrize(
    ("log", "code", "failure", "words"),
    [
        (CUDA, 1, FailureClass.OUT_OF_MEMORY, "CUDA out of memory"),
        ("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.", 1, FailureClass.OUT_OF_MEMORY, "smaller batch_size"),
        ("", 137, FailureClass.OUT_OF_MEMORY, "SIGKILL"),
        ("data/words.json: FAILED\nsha256sum: WARNING", 65, FailureClass.INPUT_CHANGED, "data/words.json"),
        ("models/a/x: FAILED open or read", 65, FailureClass.INPUT_CHANGED, "models/a/x"),
        ("ckgit: tune is not on PATH: install ckgit[run]", 69, FailureClass.ENVIRONMENT, "tune is not on PATH"),
        ("ckgit: tokens differ: train: the tokens of row 'a' differ", 66, FailureClass.TOKENS_DIFFER, "row 'a'"),
        ("ckgit: a checkpoint is not complete: epoch_0 is missing", 67, FailureClass.OUTPUT_MISSING, "epoch_0"),
        ("ModuleNotFoundError: No module named 'torchtune'", 1, FailureClass.ENVIRONMENT, "'torchtune'"),
        ("OSError: [Errno 28] No space left on device", 1, FailureClass.ERROR, "the disk is full"),
        (CHAIN, 1, FailureClass.ERROR, "RenderError: data/words.json, train row 17 has 812 tokens"),
        (DISTRIBUTED, 1, FailureClass.ERROR, "RuntimeError: mat1 and mat2"),
        ("", 143, FailureClass.CANCELLED, "143"),
        ("only\rwords\n", 2, FailureClass.ERROR, "words"),
        ("", 2, FailureClass.ERROR, "exit code 2"),
    ],
)
def test_the_reason_is_named(log, code, failure, words):
    found, sentence = worker.explain(log, code)
    assert found is failure
    assert words in sentence


@given(st.text(), st.one_of(st.none(), st.integers(0, 255)))
def test_any_log_gives_one_line(log, code):
    _, sentence = worker.explain(log, code)
    assert sentence
    assert "\n" not in sentence
    assert len(sentence) <= 400

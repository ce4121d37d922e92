"""Words of tools, drivers and shells that mean the same, whichever worker's job printed them."""

import pytest

from ckgit.experiment.jobs import FailureClass
from ckgit.workers.inspect_ai import worker as evaluator
from ckgit.workers.torchtune import worker as trainer

CUBLAS = "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`\n"
TORCHRUN = """\
E1201 torch/distributed/elastic] failed (exitcode: -9) local_rank: 1 (pid: 4711) of binary: python
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
"""
CAUGHT = """\
ImportError: cannot import name 'fast_path'
Falling back.
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.
"""


@pytest.mark.parametrize("worker", [trainer, evaluator], ids=["torchtune", "inspect-ai"])
@pytest.mark.parametrize(
    ("log", "code", "words"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB.\n", 1, "the GPU ran out of memory"),
        ("torch.cuda.OutOfMemoryError: CUDA out of memory.\n", 1, "the GPU ran out of memory"),
        (CUBLAS, 1, "the GPU ran out of memory: RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED"),
        ("RuntimeError: cuDNN error: CUDNN_STATUS_ALLOC_FAILED\n", 1, "the GPU ran out of memory"),
        (CAUGHT, 1, "the GPU ran out of memory"),
        ("finetune.slurm: line 71: 4711 Killed                  tune run x\n", 1, "it was killed (SIGKILL)"),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=88.batch.\n", 1, "it was killed (SIGKILL)"),
        ("Step 1\nKilled\n", 1, "it was killed (SIGKILL)"),
        (TORCHRUN, 1, "it was killed (SIGKILL)"),
        ("Step 1\n", 137, "it was killed (SIGKILL)"),
        ("OSError: [Errno 12] Cannot allocate memory\n", 1, "it ran out of memory: OSError: [Errno 12]"),
    ],
)
def test_out_of_memory_has_many_words(worker, log, code, words):
    found, sentence = worker.explain(log, code)
    assert found is FailureClass.OUT_OF_MEMORY
    assert words in sentence


@pytest.mark.parametrize("worker", [trainer, evaluator], ids=["torchtune", "inspect-ai"])
def test_a_library_that_cannot_be_loaded_is_no_lack_of_memory(worker):
    text = "ImportError: libgomp.so.1: cannot allocate memory in static TLS block\n"
    assert worker.explain(text, 1) == (
        FailureClass.ENVIRONMENT,
        "a Python module is missing: libgomp.so.1: cannot allocate memory in static TLS block",
    )


@pytest.mark.parametrize("worker", [trainer, evaluator], ids=["torchtune", "inspect-ai"])
def test_killing_another_process_or_a_word_in_passing_is_no_lack_of_memory(worker):
    failure, _ = worker.explain("The skilled reader: line 3: the dragon is Killed by nobody\nValueError: bad\n", 1)
    assert failure is FailureClass.ERROR


@pytest.mark.parametrize("worker", [trainer, evaluator], ids=["torchtune", "inspect-ai"])
def test_a_set_up_line_that_failed_is_named(worker):
    said = "a set-up line of the cluster profile failed (exit code 1): module load nosuch"
    assert worker.explain(f"nosuch: command not found\nckgit: {said}\n", 69) == (FailureClass.ENVIRONMENT, said)


@pytest.mark.parametrize(
    ("module", "mend"), [("peft", '; pip install "ckgit[trl]"'), ("bitsandbytes.nn", '; pip install "ckgit[qlora]"'), ("of_the_lab", "")]
)
def test_of_a_module_that_is_missing_it_is_said_which_extra_brings_it(module, mend):
    _, sentence = trainer.explain(f"ModuleNotFoundError: No module named '{module}'\n", 1)
    assert sentence == f"a Python module is missing: No module named '{module}'{mend}"

"""What to do about each exit code of ckgit and each way in which a job can fail, for docs/troubleshooting.md.

Whoever adds a code or a class has to say here what its user does: the page is not made without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ckgit.errors import Exit
from ckgit.experiment.jobs import FailureClass


class Failure(NamedTuple):
    """A way in which a job can fail."""

    means: str
    do: str


TO_DO: Mapping[Exit, str] = {
    Exit.DONE: "Nothing.",
    Exit.GIT_STOPS: (
        "The hook has printed each finding with the file, and what to do. `git commit --no-verify` goes past "
        "the hooks of your own clone; a server's hooks it does not pass."
    ),
    Exit.USAGE: (
        "Read the line that begins with `next:`. It names the argument, setting or file that is meant, and mostly the command to type."
    ),
    Exit.INVALID_DESIGN: (
        "Mend the lines that are listed as `file:line:column`; `ckgit validate FILE` lists them again. `ckgit schema design` has every key."
    ),
    Exit.ILLEGAL_TRANSITION: "`ckgit status NAME` says in which state the experiment is, and what may follow.",
    Exit.BRANCH_MOVED: (
        "Run the command again: it begins from what is there now. Where a checkout is in the way, commit or stash what it holds."
    ),
    Exit.TOOL_MISSING: (
        'Install what is named: `pip install "ckgit[run]"` for jobs, `"ckgit[review]"` to read logs, `"ckgit[github]"` for CI.'
    ),
    Exit.COMMAND_FAILED: (
        "The message has the last lines of the other program. Mend what those say (disk, rights, network, "
        "account), and run the command again."
    ),
    Exit.EVIDENCE_MISSING: (
        "Bring back what is named, a commit that was not fetched, a model's folder, a work tree, or say that "
        "it is lost. Nothing was taken for done."
    ),
    Exit.NOT_VERIFIED: (
        "Each finding names its rule, commit and file, and [verification](verify.md) says what the rule "
        "means. An honest change by hand is mended by a revert."
    ),
    Exit.IN_FLIGHT: "Nothing is wrong. The same command goes on from there, from any clone; without `--no-wait` it waits.",
    Exit.JOBS_FAILED: "`ckgit why NAME`, mend it by the table below, then `ckgit retry NAME`.",
    Exit.NOT_APPROVED: "Ask one of those whom the message names, as `[review]` of the default branch's `ckgit.toml` has them.",
    Exit.BUG: (
        "Send the report file that the message names to those who make ckgit. It has the command, the versions and "
        "where ckgit stopped, with secrets masked; read it before you send it."
    ),
    Exit.UNKNOWN: "Wait, and run the command again: a remote or a scheduler did not answer. Nothing is taken for failed meanwhile.",
    Exit.INTERRUPTED: "The same command goes on. `ckgit cancel NAME` ends jobs.",
    Exit.PIPE_CLOSED: "Nothing: the program that read the output, `head` for example, had enough.",
}

FAILURES: Mapping[FailureClass, Failure] = {
    FailureClass.ERROR: Failure(
        "the tool ended with an error; the sentence is its exception, or says which row cannot be rendered or is too long",
        "read the end of the log in `ckgit why`; for a design's fault `ckgit revise`, for a chance one `ckgit retry`",
    ),
    FailureClass.OUT_OF_MEMORY: Failure(
        "the job, or its GPU, ran out of memory",
        "`ckgit retry --mem 64G` where the machine's was too little; on a GPU a smaller `batch_size`, which "
        "`compute.on_out_of_memory: smaller_batch` does at a retry with the same rows in each step",
    ),
    FailureClass.INPUT_CHANGED: Failure(
        "a file of the work tree, the model's folder or a checkpoint is not what was scaffolded or trained",
        "`ckgit retry` brings the branch's files back; a model's folder must be that of its card",
    ),
    FailureClass.TOKENS_DIFFER: Failure(
        "the tokens that evaluation would send are not those that were trained on; both are printed",
        "make `prompt` and `system_prompt` the same for training and task, or see what a task of your own adds to the prompt",
    ),
    FailureClass.OUTPUT_MISSING: Failure(
        "the job ended well, and a checkpoint or log is missing, short or unreadable",
        "look at the disk's free space and quota under the work root, then `ckgit retry`",
    ),
    FailureClass.DIVERGED: Failure(
        "the loss is infinite or no number", "`ckgit revise --set controls.lr=...` with a smaller one, warm-up, or `clip_grad_norm`"
    ),
    FailureClass.OUT_OF_TIME: Failure(
        "the scheduler ended it at its time limit",
        "`ckgit retry --time 08:00:00`; a training goes on after its last whole epoch",
    ),
    FailureClass.NODE_FAILURE: Failure(
        "its node went down, or did not boot", "`ckgit retry`; a training goes on after its last whole epoch"
    ),
    FailureClass.PREEMPTED: Failure(
        "it had to make way for another job and was not queued again", "`ckgit retry`; a training goes on after its last whole epoch"
    ),
    FailureClass.LOST: Failure(
        "the job is gone and left no status: killed, its machine stopped, or its files deleted",
        "`ckgit retry`; where nobody can say whether it still runs, `ckgit cancel --lost --because '...'` first",
    ),
    FailureClass.REFUSED: Failure(
        "the scheduler did not take it; the sentence has its words",
        "mend the profile in `ckgit.toml` (account, partition, limits), commit it on the default branch, then `ckgit retry`",
    ),
    FailureClass.CANCELLED: Failure(
        "somebody ended it, by `ckgit cancel`, the scheduler's own command or a signal", "`ckgit retry` runs it again"
    ),
    FailureClass.ENVIRONMENT: Failure(
        "before anything was computed, a module, a program, a GPU, a version or a set-up line was found missing",
        "mend `setup` of the profile or the installation on the nodes, then `ckgit retry`",
    ),
}

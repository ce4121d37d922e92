"""The rules that verification, hooks and review hold a history against."""

from __future__ import annotations

from collections.abc import Mapping

from ckgit.experiment.outputs.findings import Severity
from ckgit.orchestrators.review.rule import Rule

# What somebody is about to commit, or has committed: found in a commit's own files, whatever it records.
SECRET = Rule(
    "secret",
    Severity.ERROR,
    "A file holds what is certainly a secret.",
    "Revoke it, and take it out of the file before it is committed; a secret that was pushed is known.",
    "An access token in a log that was added by hand.",
)
TOO_LARGE = Rule(
    "too-large",
    Severity.ERROR,
    "A file is larger than git can carry well.",
    "Keep it in the work tree or under data_root, and commit its SHA-256 instead.",
    "A checkpoint that was added by hand.",
)
NOT_A_FILE = Rule(
    "not-a-file",
    Severity.ERROR,
    "A link or a submodule stands in an experiment's folder.",
    "Put the file itself there; nothing of ckgit follows a link.",
    "A link from a run's folder to /etc.",
)

WEIGHTS = Rule(
    "weights",
    Severity.ERROR,
    "A model's weights are about to be committed.",
    "Take it out of the commit: git restore --staged PATH; weights stay in the work tree, and ckgit commits their SHA-256.",
    "A checkpoint of an epoch, added by `git add --force`.",
)
SUMMARY = Rule(
    "summary",
    Severity.ERROR,
    "experiment_summary.md is no summary of this experiment.",
    "Mend the line, stage the file and commit again.",
    "A number that is a text, or a key that there is not.",
)

# What a history says of itself.
STEP = Rule(
    "step",
    Severity.ERROR,
    "A commit records a step that the lifecycle does not allow after the one before it.",
    "Find out who made it: steps were reordered, squashed or written by hand.",
    "`train` is left out by a rebase, and `evaluate` follows `scaffold`.",
)
VERSION = Rule(
    "version",
    Severity.ERROR,
    "A step says that it was made by a ckgit that cannot be.",
    "Find out who made it: ckgit writes its own version there.",
    "`Ckgit-Version: latest`.",
)
NAME = Rule(
    "name",
    Severity.ERROR,
    "A branch begins under the name of an experiment that was merged or closed.",
    "Choose another name; `ckgit show NAME` shows the experiment that has it.",
    "A design by hand of `cap_lora`, which was closed.",
)
STATE = Rule(
    "state",
    Severity.ERROR,
    "The summary is in another state than the last step led to.",
    "Leave the state to ckgit: `ckgit advance` takes the next step, and `ckgit revise` goes back to designed.",
    "`state: analyzed` was written by hand.",
)
FOREIGN = Rule(
    "foreign-step",
    Severity.ERROR,
    "A commit calls itself a step, and is none of this experiment.",
    "Take it out of the branch.",
    "A commit that was cherry-picked from another experiment.",
)
DESIGN = Rule(
    "design",
    Severity.ERROR,
    "The design is not the one that the step names.",
    "Bring the design back, or begin anew with it by `ckgit revise`.",
    "A learning rate was changed after scaffolding, and the hash with it.",
)
INPUT = Rule(
    "input",
    Severity.ERROR,
    "A model card, a task or a data file is missing, or is not the one that was designed with.",
    "Bring the file back, or begin anew with it by `ckgit revise`.",
    "A task file with another scorer than at design.",
)
CLAIMS = Rule(
    "claims",
    Severity.WARNING,
    "Claims were changed when evaluations could be seen already.",
    "Read the report as one of an exploration, or test the claim on new data.",
    "After the results a claim was turned round by `ckgit revise`.",
)
TABLES = Rule(
    "tables",
    Severity.ERROR,
    "The summary of a step is not what the ledger and the summary before it give.",
    "Look at the commit: a step changes the state and ckgit's own tables alone.",
    "A table that shows a failed run as done.",
)
FILE = Rule(
    "file",
    Severity.ERROR,
    "A step touches a file that steps of its kind do not write.",
    "Find out who made the commit: it was amended, or squashed with another one.",
    "A `train` that changes a training configuration.",
)
LOG = Rule(
    "log",
    Severity.ERROR,
    "Lines that an orchestrator or a worker has logged are gone or changed.",
    "Bring them back from the commit before.",
    "The line of a failed attempt was taken out of the log of its worker.",
)
MESSAGE = Rule(
    "message",
    Severity.WARNING,
    "The message of a step is not what its ledger and its files say.",
    "Believe the files: somebody has changed the message, which many read first.",
    "`3 of 3 evaluation jobs done`, where one has failed.",
)
TIME = Rule(
    "time",
    Severity.WARNING,
    "Times contradict each other by more than the clocks of two machines can.",
    "Find out when it was: a step or an attempt was given another time.",
    "An evaluation that ended a month after it was committed.",
)
EDITED = Rule(
    "edited",
    Severity.ERROR,
    "A file that ckgit wrote was changed by hand.",
    "Bring it back as ckgit left it: `ckgit status` has the command.",
    "An accuracy in analysis/results.json.",
)
BESIDE = Rule(
    "beside",
    Severity.WARNING,
    "A file by hand stands among what jobs left, where readers take it for theirs.",
    "Move it out of the run's folder.",
    "A log of another experiment in RUN/eval/logs.",
)
OUTSIDE = Rule(
    "outside",
    Severity.WARNING,
    "A commit by hand changes files that are none of the experiment's, nor data, models or tasks.",
    "Look at the change by itself: merging the experiment brings it along.",
    "A change of ckgit.toml or of a workflow, in the branch of an experiment.",
)
RENDERED = Rule(
    "rendered",
    Severity.ERROR,
    "A scaffolded file is not what the design, the cluster profile and the model cards give.",
    "Do not trust the run: it may have done something else than the design says.",
    "A `finetune.yaml` with a higher learning rate than the design's.",
)
LEDGER = Rule(
    "ledger",
    Severity.ERROR,
    "The ledger tells something of attempts that no step of ckgit's makes of it.",
    "Compare jobs.json with the one before: an attempt stays, ends once, and was submitted first.",
    "A failed attempt was removed, or one that is done was never submitted.",
)
KEPT = Rule(
    "kept",
    Severity.ERROR,
    "Results of an earlier design are kept, and what they were made from is not what they would be made from now, or not told as it is.",
    "Do not trust the run; `ckgit revise NAME --anew` runs all of it again.",
    "A training that is kept although its learning rate was changed.",
)
EVIDENCE = Rule(
    "evidence",
    Severity.ERROR,
    "What a job left is missing, is not what the ledger says, or is of something else.",
    "Do not trust the run; `ckgit revise` begins anew, and runs it again.",
    "An `.eval` log of another run, under this one's name.",
)
METRIC = Rule(
    "metric",
    Severity.ERROR,
    "A metric of a log, or a count in it, does not follow from its samples.",
    "Do not trust the log; `ckgit revise` begins anew, and evaluates again.",
    "An accuracy that was changed in the header of an `.eval` log.",
)
REPORT = Rule(
    "report",
    Severity.ERROR,
    "The report, or the results, are not those that the committed logs give.",
    "Take the logs' word: `ckgit revise` begins anew, and the report is written again.",
    "A report that leaves out the worst run.",
)
ACCOUNT = Rule(
    "account",
    Severity.ERROR,
    "The scheduler, or the job's own status, tells something else of a job than the ledger.",
    "Find out whose job that is; do not trust the run until that is known.",
    "A job id that belongs to another user's job.",
)
CHECKPOINT = Rule(
    "checkpoint",
    Severity.ERROR,
    "A checkpoint in the work tree is not the one that training left.",
    "Do not evaluate it again; begin anew by `ckgit revise`.",
    "Weights that were exchanged after their evaluation.",
)
PURGED = Rule(
    "purged",
    Severity.NOTE,
    "What a result was made with is gone from the work tree: it stands, and cannot be evaluated again as it is.",
    "Train anew by `ckgit revise`, where it is needed.",
    "Checkpoints that the cluster's clean-up has deleted.",
)
UNCHECKED = Rule(
    "unchecked",
    Severity.NOTE,
    "Something could not be checked, which says nothing against it.",
    "",
    "Files that were scaffolded by another version of ckgit.",
)

REPRODUCED = Rule(
    "reproduced",
    Severity.NOTE,
    "Somebody has run jobs again, and they left the same, or failed.",
    "",
    "A run whose losses, checkpoints and answers were the same on another machine.",
)
NOT_REPRODUCED = Rule(
    "not-reproduced",
    Severity.WARNING,
    "Somebody has run jobs again, and they left something else than is recorded.",
    "Run it again yourself: ckgit reproduce NAME RUN. Where the machine or versions differ, that may be why.",
    "A loss at a step, or the answer to a row, that was changed with every digest made to agree.",
)

ANCHOR = Rule(
    "anchor",
    Severity.ERROR,
    "A step was attested by the repository that others push to, and the history does not have it, or somebody pushes anchors.",
    "Do not trust the history: it was written anew after that. The anchor keeps the one that was attested; compare both.",
    "A branch that was written again as a whole, with every digest made to agree.",
)
ATTESTED = Rule(
    "attested",
    Severity.NOTE,
    "Which steps the repository that others push to has attested, by whom and when; or that it has attested none.",
    "git fetch REMOTE 'refs/ckgit/anchors/*:refs/ckgit/anchors/*' gets the anchors; `ckgit hooks install` there has it make them.",
    "A lab whose authority has no hooks: only who made a history knows that it is the first one.",
)

SIGNATURE = Rule(
    "signature",
    Severity.ERROR,
    "The lab asks for signed steps, and this one has no signature that counts.",
    "Find out who made it; who may sign is listed in the default branch, in the file that ckgit.toml names.",
    "A step under a colleague's name, made by somebody who does not have their key.",
)

_OF_STEPS = (STEP, NAME, VERSION, STATE, FOREIGN, DESIGN, INPUT, CLAIMS, TABLES, FILE, LOG, MESSAGE, TIME)
_OF_FILES = (RENDERED, LEDGER, KEPT, EVIDENCE, METRIC, REPORT)
_BY_HAND = (EDITED, BESIDE, OUTSIDE, SUMMARY, SECRET, TOO_LARGE, WEIGHTS, NOT_A_FILE)
_OF_AUTHORS = (ANCHOR, ATTESTED, SIGNATURE)
_DEEP = (ACCOUNT, CHECKPOINT, PURGED)
_LAST = (NOT_REPRODUCED, REPRODUCED, UNCHECKED)
RULES: Mapping[str, Rule] = {rule.name: rule for rule in (*_OF_STEPS, *_OF_FILES, *_BY_HAND, *_DEEP, *_OF_AUTHORS, *_LAST)}

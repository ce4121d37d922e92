"""Each exit code that the reference names for a command is reached, in a situation that is real.

That no command ends with another one is held wherever a test runs one: tests/command_line.py.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest.mock import patch

import pytest

from ckgit.errors import MEANING, CkgitError, Exit
from ckgit.examples.quickstart import Guide
from ckgit.experiment.design.model import State
from ckgit.lab.git import branch, command
from ckgit.lab.git.waiting import TimeLimit
from docs.exit_codes import ALWAYS, ENDS_WITH, command_of
from tests.by_hand import commit_by_hand
from tests.command_line import ckgit
from tests.conftest import run_git
from tests.orchestrators.bench import Bench
from tests.orchestrators.review.lies import Liar

SUMMARY = "experiment_summary.md"
# Every command that reads an experiment's branch, and those that go on from it. What waits for jobs does not wait here.
DESIGNS = ("design new --like demo", "design-experiment newer --like demo")
RUNS = ("advance demo --no-wait", "run-experiment demo --no-wait", "worker run-tiny-trainer demo --no-wait")
STEPS = (*RUNS, "retry demo --no-wait", "scaffold-experiment demo", "analyze-experiment demo")
LOOKS = ("status demo", "log demo", "report demo", "why demo", "watch demo")


def by_hand(old: str, new: str) -> Callable[[Bench], None]:
    """The summary is changed by hand."""

    def change(bench: Bench) -> None:
        text = (bench.snapshot.read(f"experiments/demo/{SUMMARY}") or b"").decode()
        commit_by_hand(bench.folder, SUMMARY, text.replace(old, new))

    return change


def in_conflict(bench: Bench) -> None:
    """A merge was committed before it was settled."""
    commit_by_hand(bench.folder, SUMMARY, "<<<<<<< HEAD\nno summary\n")


def no_summary_of_another(bench: Bench) -> None:
    """A file of that name in the lab holds something else."""
    (bench.folder / "experiment_summary.yaml").write_text("- a\n")


def without_results(bench: Bench) -> None:
    bench.advance(State.ANALYZED)
    commit_by_hand(bench.folder, "analysis/results.json", None)


def without_summary(bench: Bench) -> None:
    commit_by_hand(bench.folder, SUMMARY, None)


def gone_on_in_two_ways(bench: Bench) -> None:
    """The authority has a commit that the local branch lacks, and the other way round; a new experiment is there before it is pushed."""
    bare = bench.folder.parent / "bare.git"
    run_git(bench.folder, "clone", "--quiet", "--bare", str(bench.folder), str(bare))
    unreachable(bench, bare)
    commit_by_hand(bench.folder, "ours.md", "ours")
    ours = run_git(bench.folder, "rev-parse", "exp/demo")
    run_git(bench.folder, "update-ref", "refs/heads/exp/demo", "exp/demo~1")
    commit_by_hand(bench.folder, "theirs.md", "theirs")
    run_git(bench.folder, "push", "--quiet", "origin", "exp/demo")
    run_git(bench.folder, "update-ref", "refs/heads/exp/demo", ours)
    hook(bench.folder, "pre-push", f"while read -r _ _ ref _; do git --git-dir='{bare}' update-ref \"$ref\" exp/demo; done")


def unreachable(bench: Bench, at: Path = Path("/nowhere/at/all.git")) -> None:
    """A remote decides, and there is none."""
    config = bench.folder / "ckgit.toml"
    config.write_text('authority = "origin"\n' + config.read_text())
    run_git(bench.folder, "commit", "--quiet", "--all", "--message=The remote decides")
    run_git(bench.folder, "remote", "add", "origin", str(at))


def shallow(bench: Bench) -> None:
    """The clone does not hold what came before the last step."""
    bench.advance(State.SCAFFOLDED)
    (bench.lab.git_dir / "shallow").write_text(f"{bench.snapshot.tip}\n")


def over_the_budget(bench: Bench) -> None:
    """Any experiment takes somebody's approval."""
    config = bench.folder / "ckgit.toml"
    config.write_text(config.read_text() + "\n[review]\ngpu_hours = 0\n")
    run_git(bench.folder, "commit", "--quiet", "--all", "--message=No GPU without approval")


def staged_by_hand(bench: Bench) -> None:
    """The state is about to be committed otherwise than a step led to."""
    bench.advance(State.SCAFFOLDED)
    run_git(bench.folder, "switch", "--quiet", "exp/demo")
    (bench.folder / "experiments/demo/defaults.json").write_text("{}")
    run_git(bench.folder, "add", "experiments")


def failed(bench: Bench) -> None:
    bench.fail("rank4/finetune")
    bench.advance(State.SCAFFOLDED)
    bench.advance()


def in_flight(bench: Bench) -> None:
    """A job has failed, and the other one would not end."""
    failed(bench)
    bench.hold()


def running(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)


def scaffolded(bench: Bench) -> None:
    bench.advance(State.SCAFFOLDED)


def otherwise(bench: Bench) -> None:
    """What a training has left is told otherwise, in each commit."""
    bench.advance(State.TRAINED)
    liar = Liar(bench.folder)
    liar.edit(liar.at("train"), liar.replaced("rank8/training.log", b"loss:0.3", b"loss:0.29"))


def broken_in_a_step(bench: Bench) -> None:
    """The summary of each commit is none."""
    bench.advance(State.TRAINED)
    liar = Liar(bench.folder)
    liar.edit(0, liar.replaced(SUMMARY, b"lora_rank:", b"lora_rnak:"))


def fails_again(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    bench.fail("rank8/finetune")


def trained_and_unreachable(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    unreachable(bench)


def hook(folder: Path, name: str, line: str) -> None:
    file = folder / ".git/hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{line}\n")
    file.chmod(0o755)


def closed(bench: Bench) -> None:
    bench.ckgit("close", "demo", "--because", "no better")


CLOSE = "close demo --because no"
DATA = "data show words --experiment demo"
MODEL = "models add own --from demo rank4"
TASKS = ("task new own --template match --experiment demo", "task check capitalization --experiment demo")
OWN = (*TASKS, DATA, MODEL)
CLEAN, ARCHIVE, DELETE = "clean demo --work --yes", "archive demo", "delete demo --authority"
LATER = (CLEAN, ARCHIVE, DELETE)
CASES: Mapping[tuple[Exit, Callable[[Bench], None]], tuple[str, ...]] = {
    (Exit.INVALID_DESIGN, by_hand("lora_rank:", "lora_rnak:")): (
        *(*DESIGNS, *STEPS, "validate demo", "revise demo", *OWN, "show demo", "view demo"),
    ),
    (Exit.INVALID_DESIGN, no_summary_of_another): ("import cruijff .",),
    (Exit.INVALID_DESIGN, in_conflict): (*LOOKS, "cancel demo", CLOSE, *LATER),
    (Exit.ILLEGAL_TRANSITION, by_hand("state: designed", "state: trained")): (
        *(*DESIGNS, *STEPS, *LOOKS, "revise demo", *OWN, "show demo", "view demo", "cancel demo", CLOSE, *LATER),
    ),
    (Exit.ILLEGAL_TRANSITION, closed): (*STEPS, "revise demo", "cancel demo", CLOSE),
    (Exit.BRANCH_MOVED, gone_on_in_two_ways): (*DESIGNS, *STEPS, "revise demo", "cancel demo", CLOSE, CLEAN, DELETE),
    (Exit.EVIDENCE_MISSING, without_summary): (
        *(*DESIGNS, *STEPS, *LOOKS, "validate demo", "revise demo", *OWN, "show demo", "view demo", "cancel demo", CLOSE, *LATER),
    ),
    (Exit.EVIDENCE_MISSING, by_hand("state: designed", "state: none")): ("compare demo demo",),
    (Exit.EVIDENCE_MISSING, without_results): ("bisect demo/rank4 demo/base",),
    (Exit.IN_FLIGHT, in_flight): ("retry demo --no-wait",),
    (Exit.IN_FLIGHT, running): (*RUNS, "revise demo", CLOSE, CLEAN, ARCHIVE, "delete demo"),
    (Exit.JOBS_FAILED, failed): (*RUNS, "retry demo"),
    (Exit.GIT_STOPS, staged_by_hand): ("hooks run pre-commit",),
    (Exit.EVIDENCE_MISSING, shallow): ("verify demo", "review demo"),
    (Exit.NOT_VERIFIED, by_hand("state: designed", "state: trained")): ("verify demo", "review demo"),
    (Exit.NOT_APPROVED, over_the_budget): ("review demo",),
    (Exit.UNKNOWN, unreachable): (*DESIGNS, *STEPS, "revise demo", "cancel demo", CLOSE, CLEAN, DELETE),
    (Exit.ILLEGAL_TRANSITION, scaffolded): ("reproduce demo",),
    (Exit.EVIDENCE_MISSING, failed): ("reproduce demo rank4",),
    (Exit.INVALID_DESIGN, broken_in_a_step): ("reproduce demo",),
    (Exit.NOT_VERIFIED, otherwise): ("reproduce demo rank8",),
    (Exit.JOBS_FAILED, fails_again): ("reproduce demo rank8",),
    (Exit.UNKNOWN, trained_and_unreachable): ("reproduce demo rank8",),
}


# In tests/forges/github, where there is a GitHub to ask.
OF_CI: Mapping[str, tuple[Exit, ...]] = {
    "approvals": (Exit.UNKNOWN,),
    "may-start": (Exit.NOT_APPROVED, Exit.UNKNOWN),
    "comment": (Exit.EVIDENCE_MISSING, Exit.UNKNOWN),
    "guard": (Exit.NOT_APPROVED, Exit.UNKNOWN),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].name.lower()}-{case[1].__name__}")
def test_each_exit_code_of_the_reference_is_reached(bench: Bench, case: tuple[Exit, Callable[[Bench], None]]) -> None:
    code, situation = case
    situation(bench)
    ended = {words: ckgit("-C", str(bench.folder), *words.split()) for words in CASES[case]}
    assert {words: done.returncode for words, done in ended.items()} == dict.fromkeys(ended, code), [done.stderr for done in ended.values()]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository that is no lab yet."""
    folder = tmp_path / "repository"
    run_git(tmp_path, "init", "--quiet", "--initial-branch=main", str(folder))
    run_git(folder, "commit", "--quiet", "--allow-empty", "--message=First")
    return folder


def test_who_makes_a_repository_a_lab_may_be_too_late(repository: Path) -> None:
    signer = repository.parent / "signer"
    other = 'git commit-tree -p main -m other "main^{tree}"'
    signer.write_text(f'#!/bin/sh\ncd "{repository}" && git update-ref refs/heads/main "$({other})"\necho "[GNUPG:] SIG_CREATED " >&2\n')
    signer.chmod(0o755)
    run_git(repository, "config", "gpg.program", str(signer))
    run_git(repository, "config", "ckgit.sign", "true")
    done = ckgit("init", str(repository))
    assert done.returncode == Exit.BRANCH_MOVED, done.stderr


def test_a_hook_that_hangs_ends_init_with_a_code_of_its_own(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook(repository, "reference-transaction", "sleep 60")
    for module in (branch, command):
        monkeypatch.setattr(module, "OWN_PROGRAMS", TimeLimit("a hook", 1.0))
    done = ckgit("init", str(repository))
    assert done.returncode == Exit.UNKNOWN, done.stderr


def test_quickstart_ends_with_the_code_of_its_command_that_fails(bench: Bench) -> None:
    without_summary(bench)
    with pytest.raises(CkgitError) as caught:
        Guide(print, dry_run=False).ckgit("-C", bench.folder, "show", "demo")
    assert caught.value.code is Exit.EVIDENCE_MISSING
    assert ENDS_WITH["quickstart"] == frozenset().union(
        *(ENDS_WITH[name] for name in ("init", "models add", "design", "advance", "log", "show", "report"))
    )


def test_the_reference_names_no_code_that_is_not_reached() -> None:
    reached = {(command_of(words.split()), code) for (code, _), lines in CASES.items() for words in lines}
    reached |= {("init", Exit.BRANCH_MOVED), ("init", Exit.UNKNOWN)}  # above
    reached |= {("models add", Exit.UNKNOWN)}  # tests/lab/models/test_hub.py
    reached |= {(f"ci {name}", code) for name, codes in OF_CI.items() for code in codes}
    named = {(name, code) for name, codes in ENDS_WITH.items() if name != "quickstart" for code in codes}
    assert named == reached
    assert set(MEANING) == set(Exit)


# What may meet any command, whatever it does.
EVERYWHERE: Mapping[Exit, BaseException] = {
    Exit.TOOL_MISSING: ModuleNotFoundError("No module named 'torch'", name="torch"),
    Exit.COMMAND_FAILED: OSError(errno.ENOSPC, "No space left on device"),
    Exit.BUG: ZeroDivisionError(),
    Exit.INTERRUPTED: KeyboardInterrupt(),
    Exit.PIPE_CLOSED: BrokenPipeError(),
}


@pytest.mark.parametrize("name", ENDS_WITH)
def test_every_command_can_end_with_what_may_meet_any(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where a bug is reported outside of a lab
    assert ckgit(*name.split(), "--help").returncode == Exit.DONE
    assert ckgit(*name.split(), "--no-such-option").returncode == Exit.USAGE
    for code, error in EVERYWHERE.items():
        with patch("ckgit.cli.importlib.import_module", side_effect=error):
            assert ckgit(*name.split()).returncode == code
    assert {*EVERYWHERE, Exit.DONE, Exit.USAGE} == ALWAYS


def test_a_command_that_ends_otherwise_than_the_reference_says_fails_its_test() -> None:
    with patch("tests.command_line.guarded", lambda *_: Exit.JOBS_FAILED), pytest.raises(AssertionError, match="does not say this"):
        ckgit("list")

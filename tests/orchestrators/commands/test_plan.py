"""Observe, plan, apply: what follows from each situation, and that a dry run shows what the next command does."""

from __future__ import annotations
import __future__

import ast
import functools
import inspect
import itertools
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckgit.errors import CkgitError
from ckgit.experiment.design.model import State
from ckgit.experiment.outputs.planned import PlannedStep
from ckgit.lab.commit import CommitPlan
from ckgit.orchestrators.commands import dry_run as dry
from ckgit.orchestrators.commands import plan
from ckgit.orchestrators.run import plan as stage_plan
from ckgit.orchestrators.run.continuation import plan as continuation
from tests.conftest import make_test_lab, run_git
from tests.orchestrators.bench import Bench, Heard, design_demo
from tests.orchestrators.commands.situations import OTHER, TOKEN, Effects, Scene, Situation, committed, effects, in_a_row, planned, untimed

DESIGNED, SCAFFOLDED, TRAINED, EVALUATED, ANALYZED = State
S = Situation
BOTH_RUN = ("running", "running")
NO_WAIT, LEFT = {"wait": False}, {"wait": False, "detach": True, "to": ANALYZED}
ITSELF, REPLACED = {**LEFT, "token": TOKEN}, {**LEFT, "token": OTHER}

# What a command does until it waits or ends, and the situations in which it does that.
FOLLOWS: dict[str, list[Situation]] = {
    # one transition without jobs
    "scaffold, exit 0": [
        S(DESIGNED),
        S(DESIGNED, damage="no profile"),
        S(DESIGNED, wants={"to": SCAFFOLDED}),
        S(DESIGNED, wants={"begins": (DESIGNED,)}),
    ],
    "analyze, exit 0": [S(EVALUATED), S(EVALUATED, damage="no profile"), S(EVALUATED, wants={"to": ANALYZED})],
    # nothing is to be done
    "nothing to do, exit 0": [
        S(SCAFFOLDED, wants={"to": SCAFFOLDED}),
        S(ANALYZED),
        S(ANALYZED, wants={"to": ANALYZED}),
        S(SCAFFOLDED, BOTH_RUN, left="queued", wants=REPLACED),
        S(SCAFFOLDED, BOTH_RUN, wants=REPLACED),
        S(SCAFFOLDED, BOTH_RUN, left="queued", by=OTHER, wants=REPLACED),
    ],
    "refuse 4": [
        S(TRAINED, wants={"to": DESIGNED}),
        S(TRAINED, wants={"begins": (DESIGNED,)}),
        S(SCAFFOLDED, wants={"retry": True}),
        S(SCAFFOLDED, ("running", "done"), wants={"retry": True}),
        S(DESIGNED, wants={"worker": "tiny-trainer"}),
        S(TRAINED, wants={"worker": "tiny-trainer"}),
        S(ANALYZED, wants={"worker": "tiny-trainer"}),
        S(SCAFFOLDED, wants={"worker": "tiny-trainer", "run": "base"}),
        S(DESIGNED, wants={"cluster": "other"}),
    ],
    # jobs that were not submitted yet
    "submit, hand over 2, wait": [S(SCAFFOLDED), S(SCAFFOLDED, damage="no profile")],  # the default one has another name now
    "submit, hand over 3, wait": [S(TRAINED), S(TRAINED, damage="outdated"), S(TRAINED, wants={"cluster": "local"})],
    "submit, hand over 1, wait": [S(SCAFFOLDED, ("none", "running")), S(SCAFFOLDED, wants={"worker": "tiny-trainer", "run": "rank4"})],
    "submit, hand over 2, exit 10": [
        S(SCAFFOLDED, wants=NO_WAIT),
        S(SCAFFOLDED, wants={"sequential": True, **NO_WAIT}),
        S(SCAFFOLDED, ("unseen", "none"), wants=NO_WAIT),  # one that an earlier command has not handed over goes with it
    ],
    "submit, hand over 2, continue, secure, exit 0": [S(SCAFFOLDED, wants=LEFT)],
    # an intent that nobody has carried out
    "hand over 2, wait": [S(SCAFFOLDED, ("unseen", "unseen"))],
    "hand over 1, wait": [S(SCAFFOLDED, ("unseen", "running")), S(SCAFFOLDED, ("queued", "unseen"))],
    "hand over 1, exit 10": [S(SCAFFOLDED, ("unseen", "running"), wants=NO_WAIT)],
    "hand over 2, hand over 1, exit 10": [S(SCAFFOLDED, ("unseen", "unseen"), "staggering", wants=NO_WAIT)],
    "hand over 1, fail, wait": [S(SCAFFOLDED, ("unseen", "unseen"), "script")],
    # jobs that are out
    "wait": [
        S(SCAFFOLDED, BOTH_RUN),
        S(SCAFFOLDED, BOTH_RUN, "no profile"),
        S(SCAFFOLDED, ("queued", "unknown")),
        S(SCAFFOLDED, ("running", "done")),
        S(SCAFFOLDED, BOTH_RUN, left="unknown", by=OTHER, wants=REPLACED),
    ],
    "exit 10": [S(SCAFFOLDED, BOTH_RUN, wants=NO_WAIT), S(SCAFFOLDED, ("done", "running"), wants=NO_WAIT)],
    " wait": [S(SCAFFOLDED, ("running", "lost"), "settling", wants=NO_WAIT)],
    "exit 75": [S(SCAFFOLDED, ("queued", "unknown"), wants=NO_WAIT)],
    # jobs that have ended
    "train, exit 0": [
        S(SCAFFOLDED, ("done", "done")),
        S(SCAFFOLDED, ("done", "done"), "no profile"),
        S(SCAFFOLDED, ("done", "done"), wants=NO_WAIT),
        S(SCAFFOLDED, ("done", "failed"), wants={"accept_missing": True}),
        S(SCAFFOLDED, ("done", "recorded"), wants={"accept_missing": True}),
    ],
    "evaluate, exit 0": [S(TRAINED, ("done", "done")), S(TRAINED, damage="no evaluation")],
    "train, submit, hand over 3, wait": [S(SCAFFOLDED, ("done", "done"), wants={"to": ANALYZED})],
    "evaluate, analyze, exit 0": [S(TRAINED, ("done", "done"), wants={"to": ANALYZED})],
    "fail, exit 11": [
        S(SCAFFOLDED, ("failed", "failed")),
        S(SCAFFOLDED, ("done", "failed")),
        S(SCAFFOLDED, ("done", "failed"), wants=LEFT),
        S(SCAFFOLDED, ("done", "lost")),
        S(SCAFFOLDED, ("done", "refused")),
        S(SCAFFOLDED, ("done", "done"), "status"),
        S(SCAFFOLDED, ("done", "done"), "output"),
    ],
    "fail, wait": [S(SCAFFOLDED, ("running", "failed"))],
    "fail, exit 10": [S(SCAFFOLDED, ("running", "failed"), wants=NO_WAIT)],
    "fail, continue, secure, exit 0": [S(SCAFFOLDED, ("running", "failed"), wants=LEFT)],
    "exit 11": [S(SCAFFOLDED, ("done", "recorded"))],
    "exit 0": [S(SCAFFOLDED, ("done", "none"), wants={"worker": "tiny-trainer", "run": "rank4"})],  # the other run is another command's
    "submit, hand over 1, fail, wait": [S(SCAFFOLDED, ("none", "failed"))],
    # again
    "end 1, retry, hand over 1, wait": [S(SCAFFOLDED, ("done", "recorded"), wants={"retry": True})],
    "end 1, retry, hand over 1, continue, secure, exit 0": [S(SCAFFOLDED, ("done", "recorded"), wants={**LEFT, "retry": True})],
    # left to its cluster
    "submit, continue, secure, exit 0": [S(SCAFFOLDED, BOTH_RUN, wants=LEFT), S(SCAFFOLDED, BOTH_RUN, left="gone", wants=LEFT)],
    "continue, secure, exit 0": [S(SCAFFOLDED, BOTH_RUN, left="unseen", wants=LEFT)],
    "secure, exit 0": [S(SCAFFOLDED, BOTH_RUN, left="queued", wants=LEFT)],
    "submit, end 1, end 1, continue, secure, exit 0": [S(SCAFFOLDED, BOTH_RUN, left="queued", wants={**LEFT, "sequential": True})],
    "submit, end 1, end 1, wait": [
        S(SCAFFOLDED, BOTH_RUN, left="queued", wants={"take_over": True}),
        S(SCAFFOLDED, BOTH_RUN, left="gone"),
        S(SCAFFOLDED, BOTH_RUN, left="unseen"),
    ],
    "exit 10 ": [
        S(SCAFFOLDED, BOTH_RUN, left="queued"),
        S(SCAFFOLDED, ("running", "none"), left="running"),
        S(SCAFFOLDED, ("done", "done"), left="unknown"),
    ],
    "submit, continue, secure, exit 0 ": [S(SCAFFOLDED, BOTH_RUN, left="running", wants=ITSELF)],
    "continue, secure, exit 0 ": [
        S(SCAFFOLDED, BOTH_RUN, left="unseen", by=OTHER, wants=REPLACED),  # it was ended before it had handed over the next one
    ],
    "train, submit, hand over 3, continue, secure, exit 0": [S(SCAFFOLDED, ("done", "done"), left="running", wants=ITSELF)],
    "continue, wait": [S(SCAFFOLDED, BOTH_RUN, "no room", left="unseen", wants=LEFT)],
    "wait ": [S(SCAFFOLDED, BOTH_RUN, left="unknown", wants=LEFT), S(SCAFFOLDED, ("running", "unknown"), left="running", wants=ITSELF)],
    # to another cluster
    "submit, submit, hand over 3, wait": [
        S(TRAINED, wants={"cluster": "other"}),
        S(TRAINED, damage="outdated", wants={"cluster": "local"}),
        S(TRAINED, damage="no profile", wants={"cluster": "new"}),
    ],
    "submit, submit, hand over 2, wait": [
        S(SCAFFOLDED, wants={"cluster": "other"}),
        S(SCAFFOLDED, damage="outdated", wants={"cluster": "local"}),
    ],
    "submit, wait": [S(SCAFFOLDED, BOTH_RUN, "no profile", wants={"cluster": "new"})],
    "refuse 10": [
        S(SCAFFOLDED, BOTH_RUN, wants={"cluster": "other"}),
        S(SCAFFOLDED, ("done", "recorded"), left="queued", wants={"retry": True}),
    ],
    "refuse 2": [
        S(SCAFFOLDED, BOTH_RUN, "profile"),
        S(SCAFFOLDED, BOTH_RUN, "profile", wants={"worker": "tiny-trainer"}),
        S(TRAINED, damage="no profile"),
        S(SCAFFOLDED, ("done", "recorded"), "no profile", wants={"retry": True}),
        S(SCAFFOLDED, damage="no detaching", wants=LEFT),
        S(SCAFFOLDED, ("done", "recorded"), "no detaching", wants={**LEFT, "retry": True}),
    ],
    # what the experiment stands on is not as it was left
    "refuse 8": [
        S(TRAINED, damage="ledger"),
        S(TRAINED, damage="ledger", wants={"cluster": "other"}),
        S(TRAINED, damage="work tree"),
        S(SCAFFOLDED, BOTH_RUN, "work tree"),
    ],
}


SCENES: list[Scene] = []


@pytest.fixture
def scene(tiny_package: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """One lab for all tests of this module, which is put into each situation."""
    monkeypatch.syspath_prepend(tiny_package)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tiny_package), str(Path(__file__).parents[3])]))
    if not SCENES:
        folder = tmp_path_factory.mktemp("scene")
        (folder / "steer").mkdir()
        bench = Bench(make_test_lab(folder / "lab"), folder / "steer", Heard())
        bench.set_up()
        design_demo(bench.lab)
        SCENES.append(Scene(bench, folder / "kept"))
    return SCENES[0]


class Shown:
    """What a dry run shows, and the files that it means."""

    def __init__(self, scene: Scene, situation: Situation) -> None:
        self.step: PlannedStep | None = None
        self.error: CkgitError | None = None
        self.plans: list[CommitPlan] = []
        show = dry.preview

        def keep(plan: CommitPlan, *rest: list[str]) -> object:
            self.plans.append(plan)
            return show(plan, *rest)

        dry.preview = keep  # type: ignore[assignment]
        try:
            self.step = dry.dry_run(scene.bench.lab, "demo", situation.options)
        except CkgitError as error:
            self.error = error
        finally:
            dry.preview = show


def check(scene: Scene, situation: Situation) -> str:
    """Hold what a dry run shows against what the next command does; what that is."""
    scene.set(situation)
    tip = scene.bench.snapshot.tip
    shown = Shown(scene, situation)
    assert scene.scheduler.done == [], "a dry run did something"
    assert scene.bench.snapshot.tip == tip
    done = effects(scene, situation.options)
    acts = [act for act in scene.scheduler.done if not act.startswith("end")]
    if shown.step is None:
        assert shown.error, acts
        assert acts == [f"refuse {int(shown.error.code)}"]
    else:
        follows(scene, shown.step, shown.plans, done, acts, tip)
    return ", ".join(scene.scheduler.done)


def as_of(bench: Bench, parent: str, content: bytes | None) -> bytes | None:
    """Bytes without what is new each time, and without the name of the commit before and of the experiment's folder in it."""
    tree = run_git(bench.folder, "rev-parse", f"{parent}:experiments/demo").encode()
    names = ((parent.encode(), b"PARENT"), (parent[:12].encode(), b"PARENT"), (tree, b"TREE"))
    return content and untimed(functools.reduce(lambda text, name: text.replace(*name), names, content))


def follows(scene: Scene, step: PlannedStep, plans: list[CommitPlan], done: Effects, acts: list[str], tip: str) -> None:
    """Check that a command did what was shown, first of all."""
    assert [str(commit.records) for commit in step.commits] == acts[: len(step.commits)]
    parent = tip
    for commit, plan_, sha in zip(step.commits, plans, done.commits, strict=False):
        message, files = committed(scene.bench, sha)
        assert untimed(message.encode()) == untimed(commit.message.replace("TOKEN", "00000000").encode() + b"\n")
        meant = planned(plan_, scene.bench, f"{sha}~1")
        assert {path: as_of(scene.bench, parent, content) for path, content in files.items()} == {
            path: as_of(scene.bench, tip, content) for path, content in meant.items()  # the commit before it was not there yet
        }
        parent = sha
    assert [remark for remark in step.remarks if "has changed" in remark] == [text for text in done.noted if "has changed" in text]
    if not step.commits and not step.submissions:
        assert acts[0].startswith(("wait", "exit", "nothing", "continue", "secure"))
    handed = [f"hand over {sum(len(each.jobs) for each in step.submissions)}"] if step.submissions else []
    assert acts[len(step.commits) :][: len(handed)] == handed
    for shown, command, script in zip(step.submissions, scene.scheduler.commands, scene.scheduler.scripts, strict=False):
        told = shown.command.replace("TOKEN", "00000000").replace("COMMIT", (done.commits or [tip])[0][:12])
        assert untimed(told.encode()) == untimed(command.encode())
        assert shown.scripts == (script.decode(),)


ROWS = list(in_a_row(FOLLOWS))
LONGEST = 20  # seconds; a row takes less than one
TAKEN: dict[int, set[tuple[str, int]]] = {}  # lines of the plan that each row goes through
PLAN = [plan, stage_plan, continuation]
FILES = {str(module.__file__) for module in PLAN}


def trace(scene: Scene, number: int) -> None:
    """Keep which lines of the plan a row goes through."""
    lines = TAKEN.setdefault(number, set())

    def note(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in FILES:
            return None
        if event == "line":
            lines.add((frame.f_code.co_filename, frame.f_lineno))
        return note

    scene.set(ROWS[number][1])
    before = sys.gettrace()
    sys.settrace(note)
    try:
        effects(scene, ROWS[number][1].options)
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("number", [pytest.param(n, id=f"{effect}-{n}") for n, (effect, _) in enumerate(ROWS)])
def test_what_follows_and_that_a_dry_run_shows_it(scene: Scene, number: int) -> None:
    assert check(scene, ROWS[number][1]) == ROWS[number][0].strip()


ATTEMPTS = st.sampled_from(["none", "unseen", "queued", "running", "unknown", "done", "failed", "recorded", "lost", "refused"])
WANTS = st.fixed_dictionaries(
    {},
    optional={
        "to": st.sampled_from([TRAINED, EVALUATED, ANALYZED]),
        "wait": st.booleans(),
        "accept_missing": st.booleans(),
        "sequential": st.booleans(),
        "detach": st.booleans(),
        "take_over": st.booleans(),
        "retry": st.booleans(),
        "cluster": st.sampled_from(["local", "other", "new"]),
        "token": st.sampled_from([TOKEN, OTHER]),
    },
).filter(lambda wants: not {"retry", "cluster"} <= wants.keys())  # no command line asks for both


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """States, attempts, what the scheduler says, what is damaged, to whom it was left, and what the user wants."""
    state = draw(st.sampled_from([SCAFFOLDED, TRAINED]))
    jobs = (draw(ATTEMPTS), draw(ATTEMPTS))
    out = jobs != ("none", "none")
    left = draw(st.sampled_from(["", "unseen", "queued", "unknown", "gone"])) if out else ""
    ended = jobs[0] in ("done", "failed")
    damages = ["", "profile", "no profile", "outdated", "work tree", *(["status"] if ended and state is SCAFFOLDED else [])]
    damage = draw(st.sampled_from(damages)) if out else ""
    return Situation(state, jobs, damage, left, draw(st.sampled_from(["", TOKEN, OTHER])), draw(WANTS))


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(situation=situations())
def test_a_dry_run_shows_what_the_next_command_does_wherever_an_experiment_is(scene: Scene, situation: Situation) -> None:
    done = check(scene, situation)
    assert done
    handed = [token for token in scene.bench.ledger.attempts if token.token in scene.scheduler.handed] if scene.scheduler.handed else []
    assert len({attempt.job for attempt in handed}) == len(handed), "a job was handed over twice"
    wants = situation.wants
    if "failed" in situation.jobs and not wants.get("accept_missing"):
        assert not done.startswith(("train", "evaluate")), "a stage is passed with a job that has failed"


class Mutant(NamedTuple):
    """A branch of the plan that is taken away."""

    function: FunctionType
    line: int  # by which it is known that the branch is taken
    code: CodeType

    @property
    def name(self) -> str:
        return f"{Path(self.function.__code__.co_filename).parent.name}/plan.{self.function.__name__}:{self.line}"


class Without(ast.NodeTransformer):
    """Takes away the branch of that number."""

    def __init__(self, number: int) -> None:
        self.number, self.seen, self.line = number, -1, 0

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        if self._is_it(node.body[0]):
            return node.orelse or [ast.Pass(lineno=node.lineno, col_offset=0, end_lineno=node.lineno, end_col_offset=0)]
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Or) and isinstance(node.values[0], ast.Call) and self._is_it(node):
            node.values = node.values[1:]
        return node if len(node.values) > 1 else node.values[0]

    def _is_it(self, node: ast.AST) -> bool:
        self.seen += 1
        if self.seen == self.number:
            self.line = node.lineno  # type: ignore[attr-defined]
        return self.seen == self.number


def mutants() -> Iterator[Mutant]:
    """The plan without each of its branches."""
    for module in PLAN:
        for function in [each for each in vars(module).values() if inspect.isfunction(each) and each.__module__ == module.__name__]:
            for number in itertools.count():
                tree = ast.parse(inspect.getsource(function))
                ast.increment_lineno(tree, function.__code__.co_firstlineno - 1)
                without = Without(number)
                without.visit(tree)
                if not without.line:
                    break
                code = compile(ast.fix_missing_locations(tree), str(module.__file__), "exec", flags=__future__.annotations.compiler_flag)
                yield Mutant(function, without.line, next(each for each in code.co_consts if inspect.iscode(each)))


@pytest.mark.skipif("CKGIT_LONG_TESTS" not in os.environ, reason="it takes minutes; LONG=1 make test")
@pytest.mark.parametrize("mutant", [pytest.param(mutant, id=mutant.name) for mutant in mutants()])
def test_no_branch_of_the_plan_can_be_taken_away(scene: Scene, mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(len(ROWS)):
        if number not in TAKEN:
            trace(scene, number)
    taking = [number for number, lines in TAKEN.items() if (str(mutant.function.__code__.co_filename), mutant.line) in lines]
    assert taking, "no situation takes this branch"
    monkeypatch.setattr(mutant.function, "__code__", mutant.code)
    assert any(_fails(scene, number) for number in taking)


class _EndlessError(BaseException):
    """A plan that leads nowhere."""


def _give_up(*_: object) -> None:
    raise _EndlessError


def _fails(scene: Scene, number: int) -> bool:
    scene.set(ROWS[number][1])
    before = signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(LONGEST)
    try:
        effects(scene, ROWS[number][1].options)
        return ", ".join(scene.scheduler.done) != ROWS[number][0].strip()
    except (Exception, _EndlessError):  # noqa: BLE001 - whatever it is, the test of this row fails
        return True
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)

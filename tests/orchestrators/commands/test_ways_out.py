"""Whatever an experiment is in, it can be read, and what `next:` names leads to a commit, a hand-over, or a wait that can end."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from tests.orchestrators.bench import Bench
from tests.orchestrators.commands.next_commands import Done, named
from tests.orchestrators.commands.situations import OTHER, TOKEN, Scene, Situation
from tests.orchestrators.commands.test_plan import scene  # noqa: F401 - a fixture

DESIGNED, SCAFFOLDED, TRAINED, EVALUATED, ANALYZED = State
ATTEMPTS = st.sampled_from(["none", "unseen", "queued", "running", "unknown", "done", "failed", "recorded", "lost", "refused"])
COMMANDS = [
    ("advance",), ("retry",), ("cancel",), ("advance", "--accept-missing"), ("advance", "--to", "analyzed"),
    ("advance", "--detach"), ("close", "--because", "no better"),
]
ENDS = {  # what a command may come to without having done anything
    Exit.DONE,  # there was nothing to do
    Exit.IN_FLIGHT,  # jobs run, and will end
}
MOST = 4  # commands until something has happened


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Any state, attempts, what the scheduler says, what is left of the work tree, profile and ledger, and to whom it was left."""
    state = draw(st.sampled_from([DESIGNED, SCAFFOLDED, SCAFFOLDED, TRAINED, TRAINED, EVALUATED, ANALYZED]))
    runs = state in (SCAFFOLDED, TRAINED)
    jobs = (draw(ATTEMPTS), draw(ATTEMPTS)) if runs else ("none", "none")
    out = runs and jobs != ("none", "none")
    always = ["", "", "no profile", "outdated"]
    submitted = ["profile", "work tree", "machine", "ledger"] if out or state in (TRAINED, EVALUATED, ANALYZED) else []
    damage = draw(st.sampled_from([*always, *submitted, *([] if out else ["closed"])]))
    left = draw(st.sampled_from(["", "", "unseen", "queued", "unknown", "gone"])) if out else ""
    return Situation(state, jobs, damage, left, draw(st.sampled_from(["", TOKEN, OTHER])))


def acts(scene: Scene) -> tuple[str, int]:  # noqa: F811
    """What changes where a command leads on."""
    tip = subprocess.run(["git", "rev-parse", "exp/demo"], cwd=scene.bench.folder, capture_output=True, text=True, check=True).stdout
    return tip, sum(not act.startswith("refuse") for act in scene.scheduler.done)


def carry_out(bench: Bench, done: Done, tried: list[list[str]]) -> Done | None:
    """Run what `next:` names first and was not tried; None where a git command was run, after which the user's own is tried again."""
    line = next((line.partition("next:")[2].strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if "next:" in line), "")
    if line.startswith("git "):
        subprocess.run(["bash", "-euc", re.split(r"; | gets | shows ", line)[0]], cwd=bench.folder, check=True, capture_output=True)
        return None
    for words in named(done):
        if words not in tried:
            tried.append(words)
            waits = words[0] in ("advance", "retry") and "--detach" not in words
            return bench.ckgit(*words, *(["--no-wait"] if waits else []), check=False)
    pytest.fail(f"{tried} lead in a circle: {done.stderr}")


def leads_on(scene: Scene, first: tuple[str, ...]) -> None:  # noqa: F811
    """Follow what each command names until something was done."""
    before, bench = acts(scene), scene.bench
    words = [first[0], "demo", *first[1:], *(["--no-wait"] if first[0] in ("advance", "retry") and "--detach" not in first else [])]
    done, tried = bench.ckgit(*words, check=False), [words]
    for _ in range(MOST):
        assert done.returncode not in (1, Exit.BUG), done.stderr
        if acts(scene) != before or done.returncode in ENDS:
            return
        done = carry_out(bench, done, tried) or bench.ckgit(*words, check=False)
    assert acts(scene) != before, f"{tried}: {done.stderr}"


@settings(max_examples=int(os.environ.get("CKGIT_WAYS", "40")), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(situation=situations(), command=st.sampled_from(COMMANDS))
def test_one_command_leads_on_from_everywhere(scene: Scene, situation: Situation, command: tuple[str, ...]) -> None:  # noqa: F811
    scene.set(situation)
    for reading in (["status", "demo"], ["list"], ["log", "demo"], ["why", "demo"]):
        done = scene.bench.ckgit(*reading, check=False)
        assert done.returncode == 0, (reading, done.stderr)
    assert scene.bench.ckgit("show", "demo", check=False).returncode in (0, Exit.EVIDENCE_MISSING)
    assert scene.scheduler.done == []
    leads_on(scene, command)


def test_where_a_way_out_is_taken_away_the_walk_ends_in_a_circle(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    on_another_machine = Situation(SCAFFOLDED, ("unknown", "unknown"), "machine")
    scene.set(on_another_machine)
    leads_on(scene, ("advance",))
    scene.set(on_another_machine)
    for module in ("run.work_tree", "commands.cancellable"):
        monkeypatch.setattr(f"ckgit.orchestrators.{module}.declare_lost", lambda name, _: f"ckgit advance {name}")
    with pytest.raises((pytest.fail.Exception, AssertionError)):
        leads_on(scene, ("advance",))

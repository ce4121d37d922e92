"""An experiment is closed with a reason, and known for as long as somebody asks; nothing but reopening it follows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.lab import commit
from ckgit.lab.remotes import authority
from tests.by_hand import commit_by_hand
from tests.conftest import run_git
from tests.orchestrators.bench import Bench

TOP = Path(__file__).parents[3]
WHY = "The claim does not hold; rank 8 is no better."
CLOSED = "refs/ckgit/closed/demo"


def close(bench: Bench, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return bench.ckgit("close", "demo", *(words or ("--because", WHY)), check=check)


def refs(folder: Path, *patterns: str) -> dict[str, str]:
    lines = run_git(folder, "for-each-ref", "--format=%(refname) %(objectname)", *patterns).splitlines()
    return dict(line.split(" ") for line in lines)


def row(bench: Bench, *words: str) -> dict[str, object]:
    [found] = json.loads(bench.ckgit("list", "--json", *words).stdout)["experiments"]
    return dict(found)


@pytest.mark.parametrize("state", [State.DESIGNED, State.TRAINED, State.ANALYZED])
def test_one_commit_without_files_says_why(bench: Bench, state: State) -> None:
    bench.advance(state)
    before = bench.snapshot.tip
    done = close(bench)
    told = f"demo is closed; it was {state}, and {CLOSED} keeps it when its branch is deleted"
    assert done.stdout.endswith(f"{told}\nnext: ckgit close demo --reopen opens it again\n")
    tip = bench.snapshot.tip
    places = (f"{tip}~1", f"{tip}^{{tree}}"), (before, f"{before}^{{tree}}")
    assert len({run_git(bench.folder, "rev-parse", *each) for each in places}) == 1
    assert bench.message().startswith(f"close demo: {state} -> {state}\n\n{WHY}\n\nCkgit-Experiment: demo\nCkgit-Event: close\n")
    assert refs(bench.folder, "refs/ckgit/closed") == {CLOSED: tip}
    assert "demo" in bench.ckgit("verify", "demo").stdout


def test_why_is_read_wherever_the_experiment_is(bench: Bench) -> None:
    bench.advance(State.SCAFFOLDED)
    close(bench)
    assert WHY in bench.ckgit("log", "demo").stdout.splitlines()[-1]
    for command in ("show", "status"):
        assert WHY in bench.ckgit(command, "demo").stdout
        found = json.loads(bench.ckgit(command, "demo", "--json").stdout)
        assert found["closed"] == {"commit": bench.snapshot.tip, "time": found["time"], "because": WHY}
    assert f"closed: {WHY}" in bench.ckgit("list").stdout
    assert row(bench, "--state", "scaffolded")["closed"] == {"commit": bench.snapshot.tip, "time": row(bench)["time"], "because": WHY}
    assert json.loads(bench.ckgit("log", "demo", "--json").stdout)["commits"][-1]["body"] == WHY
    assert bench.ckgit("why", "demo").stdout == "demo is scaffolded (closed); no job of it failed, and none waits\n"


def test_a_commit_by_hand_on_top_leaves_it_closed(bench: Bench) -> None:
    close(bench)
    commit_by_hand(bench.folder, "notes.md", "mine")
    assert row(bench)["closed"]
    assert WHY in bench.ckgit("status", "demo").stdout
    assert bench.ckgit("advance", "demo", check=False).returncode == Exit.ILLEGAL_TRANSITION


STEPS = ("advance", "advance --to analyzed", "advance --to designed", "retry", "revise", "scaffold-experiment", "run-experiment")
MORE = ("analyze-experiment", "worker run-tiny-trainer demo", "advance demo --dry-run", "retry demo --dry-run", "revise demo --dry-run")


@pytest.mark.parametrize("state", [State.DESIGNED, State.SCAFFOLDED, State.ANALYZED])
def test_nothing_follows_but_reopening(bench: Bench, state: State) -> None:
    bench.advance(state)
    close(bench)
    tip = bench.snapshot.tip
    for line in (*STEPS, *MORE, f"close demo --because '{WHY}'"):
        words = line.split("'")[0].split() + line.split("'")[1:2]
        done = bench.ckgit(*(words if "demo" in words else [*words[:1], "demo", *words[1:]]), check=False)
        assert (done.returncode, "ckgit close demo --reopen" in done.stderr) == (Exit.ILLEGAL_TRANSITION, True), (line, done.stderr)
    assert bench.ckgit("advance", "--all", check=False).returncode == 0  # it is no matter of it
    assert bench.snapshot.tip == tip
    assert json.loads(bench.ckgit("status", "demo", "--json").stdout)["next"] == ["ckgit show demo", "ckgit close demo --reopen"]
    assert close(bench, "--reopen", "--because", "A second look.").stdout.endswith(
        f"demo is open again, and {state}\nnext: ckgit status demo\n"
    )
    assert refs(bench.folder, "refs/ckgit/closed") == {}
    assert bench.message().startswith(f"reopen demo: {state} -> {state}\n\nA second look.\n\n")
    assert row(bench)["closed"] is None
    again = close(bench, "--reopen", check=False)
    assert (again.returncode, "demo is not closed" in again.stderr) == (Exit.ILLEGAL_TRANSITION, True)
    if state is not State.ANALYZED:
        bench.advance(State.ANALYZED)
    assert "error" not in bench.ckgit("verify", "demo").stdout


def test_jobs_are_ended_first(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    tip = bench.snapshot.tip
    for more in ((), ("--dry-run",)):
        done = close(bench, "--because", WHY, *more, check=False)
        assert done.returncode == Exit.IN_FLIGHT
        assert "2 jobs of demo are in flight" in done.stderr
        assert "next:  ckgit cancel demo ends them" in done.stderr
    run_git(bench.folder, "update-ref", "refs/heads/exp/demo", "exp/demo~1")  # the branch has lost them, and they run
    done = close(bench, check=False)
    assert (done.returncode, "next:" in done.stderr) == (Exit.IN_FLIGHT, True), done.stderr
    run_git(bench.folder, "update-ref", "refs/heads/exp/demo", tip)
    bench.ckgit("cancel", "demo")
    close(bench)


@pytest.mark.parametrize(
    ("because", "what"),
    [
        ((), "why is demo closed?"),
        (("--because", "  \n "), "--because takes a reason"),
        (("--because", "x" * 1001), "--because takes a reason"),
        (("--because", "red \x1b[31m"), "--because takes a reason"),
        (("--because", "my token is hf_" + "a1B2c3D4e5" * 3), "secret"),
    ],
)
def test_a_reason_is_text_that_can_be_read(bench: Bench, because: tuple[str, ...], what: str) -> None:
    before = bench.snapshot.tip
    for more in ((), ("--dry-run",)):
        done = bench.ckgit("close", "demo", *because, *more, check=False)
        assert (done.returncode, what in done.stderr) == (Exit.USAGE, True), done.stderr
        assert "a1B2c3D4e5a1B2" not in done.stderr
    assert bench.snapshot.tip == before
    assert close(bench, "--because", "two\nlines").returncode == 0
    assert row(bench)["closed"]["because"] == "two lines"  # type: ignore[index]


def test_a_dry_run_says_what_would_be_done(bench: Bench) -> None:
    before = refs(bench.folder)
    for words, told in ((("--because", WHY), "would keep it as"), (("--reopen",), "would take away")):
        shown = close(bench, *words, "--dry-run").stdout
        assert f"{told} {CLOSED}" in shown
        assert f"{'reopen' if '--reopen' in words else 'close'} demo: designed -> designed" in shown
        assert refs(bench.folder) == before
        close(bench, "--because", WHY) if told == "would keep it as" else close(bench, "--reopen")
        before = refs(bench.folder)


def test_what_others_wrote_into_a_reason_reaches_no_terminal(bench: Bench) -> None:
    close(bench)
    text = bench.message().replace(WHY, "fine \x1b[31m red\n\nand \x07 more")
    tree = run_git(bench.folder, "rev-parse", "exp/demo^{tree}")
    made = subprocess.run(
        ["git", "commit-tree", tree, "-p", "exp/demo~1"], cwd=bench.folder, input=text, text=True, capture_output=True, check=True
    )
    for ref in ("refs/heads/exp/demo", CLOSED):
        run_git(bench.folder, "update-ref", ref, made.stdout.strip())
    for words in (["list"], ["log", "demo"], ["show", "demo"], ["status", "demo"], ["verify", "demo"]):
        shown = bench.ckgit(*words, check=False).stdout
        assert "\x1b" not in shown
        assert "\x07" not in shown
    assert row(bench)["closed"]["because"] == "fine \x1b[31m red and \x07 more"  # type: ignore[index]


def gone(bench: Bench) -> Bench:
    """Analyzed, closed, and its branch deleted."""
    bench.advance(State.ANALYZED)
    close(bench)
    run_git(bench.folder, "branch", "--quiet", "-D", "exp/demo")
    return bench


def merged(bench: Bench) -> Bench:
    """Analyzed, merged, and its branch deleted; as in another clone."""
    bench.advance(State.ANALYZED)
    run_git(bench.folder, "merge", "--quiet", "--no-ff", "--no-edit", "exp/demo")
    run_git(bench.folder, "branch", "--quiet", "-D", "exp/demo")
    run_git(bench.folder, "update-ref", "-d", "refs/ckgit/tips/demo")
    return bench


def squashed(bench: Bench) -> Bench:
    """Analyzed, merged as one commit of the default branch's own."""
    bench.advance(State.ANALYZED)
    run_git(bench.folder, "merge", "--quiet", "--squash", "exp/demo")
    run_git(bench.folder, "commit", "--quiet", "--message=Demo (#12)")
    run_git(bench.folder, "branch", "--quiet", "-D", "exp/demo")
    run_git(bench.folder, "update-ref", "-d", "refs/ckgit/tips/demo")
    return bench


@pytest.mark.parametrize(("way", "kept"), [(gone, "closed"), (merged, "merged"), (squashed, "merged")])
def test_without_its_branch_it_is_known(bench: Bench, way, kept: str) -> None:
    way(bench)
    assert refs(bench.folder, "refs/heads/exp") == {}
    found = row(bench, "--state", "analyzed")
    assert (found["experiment"], found["kept"]) == ("demo", kept)
    assert "its branch is gone" in bench.ckgit("list").stdout
    for command in ("show", "status"):
        assert "its branch is gone" in bench.ckgit(command, "demo").stdout
        seen = json.loads(bench.ckgit(command, "demo", "--json").stdout)
        assert (seen["lifecycle_state"], seen["kept"], seen["commit"]) == ("analyzed", kept, found["commit"])
    report = next(line for line in bench.ckgit("show", "demo").stdout.splitlines() if line.startswith("report: ")).removeprefix("report: ")
    assert "# " in run_git(bench.folder, *report.split()[1:])
    assert "no job of it failed" in bench.ckgit("why", "demo").stdout
    log = json.loads(bench.ckgit("log", "demo", "--json").stdout)["commits"]
    assert [each["records"] for each in log][:2] == (["design", "scaffold"] if way is not squashed else [])
    for words in (["demo"], ["--all"]):
        shown = bench.ckgit("verify", *words).stdout
        assert bench.ckgit("validate", "demo").returncode == 0
        assert f"{', kept as closed' if kept == 'closed' else ', merged'}: " in shown
        [one] = json.loads(bench.ckgit("verify", *words, "--json").stdout)["experiments"]
        assert one["kept"] == kept
        assert [each["rule"] for each in one["findings"]] == (["unchecked"] if way is squashed else [])
    assert refs(bench.folder, "refs/heads/exp") == {}


@pytest.mark.parametrize("way", [gone, merged, squashed])
def test_without_its_branch_its_name_is_not_free(bench: Bench, way) -> None:
    design = bench.folder.parent / "design.yaml"
    design.write_bytes(bench.snapshot.summary_bytes())
    way(bench)
    for name in ("demo", "DEMO"):
        done = bench.ckgit("design", name, "--from", str(design), check=False)
        assert done.returncode == Exit.USAGE
        assert "next:  ckgit show demo shows it; choose another name" in done.stderr
    assert bench.ckgit("design", "other", "--like", "demo", "--dry-run").returncode == 0
    assert refs(bench.folder, "refs/heads/exp") == {}
    if way is not gone:
        return
    done = bench.ckgit("advance", "demo", check=False)
    assert (done.returncode, "ckgit close demo --reopen" in done.stderr) == (Exit.ILLEGAL_TRANSITION, True)
    close(bench, "--reopen")  # brings the branch back
    assert bench.snapshot.local
    assert bench.history()[-2:] == ["close", "reopen"]
    assert refs(bench.folder, "refs/ckgit/closed") == {}


def test_a_branch_that_was_deleted_without_more_leaves_its_name_free(bench: Bench) -> None:
    design = bench.folder.parent / "design.yaml"
    design.write_bytes(bench.snapshot.summary_bytes())
    bench.advance(State.SCAFFOLDED)
    run_git(bench.folder, "branch", "--quiet", "-D", "exp/demo")
    assert bench.ckgit("show", "demo", check=False).returncode == Exit.USAGE
    assert bench.ckgit("design", "demo", "--from", str(design)).returncode == 0
    assert bench.snapshot.state is State.DESIGNED


@pytest.fixture
def shared(bench: Bench) -> Bench:
    """The lab with a bare repository as its authority, whose pre-receive is ckgit's."""
    remote = bench.folder.parent / "remote.git"
    toml = bench.folder / "ckgit.toml"
    toml.write_text('authority = "origin"\n' + toml.read_text())
    run_git(bench.folder, "commit", "--quiet", "--all", "--message=The remote decides")
    run_git(bench.folder, "init", "--quiet", "--bare", "--initial-branch=main", str(remote))
    (remote / "hooks").mkdir(exist_ok=True)
    shutil.copy(TOP / "hooks/pre-receive", remote / "hooks")
    run_git(bench.folder, "remote", "add", "origin", str(remote))
    run_git(bench.folder, "push", "--quiet", "origin", "main", "exp/demo")
    return bench


@pytest.fixture(autouse=True)
def _path(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hooks find ckgit."""
    program = bench.folder.parent / "bin/ckgit"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={TOP}:$PYTHONPATH exec {sys.executable} -m ckgit "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bench.folder.parent / 'bin'}{os.pathsep}{os.environ['PATH']}")


def remote(bench: Bench) -> Path:
    return bench.folder.parent / "remote.git"


EXPERIMENTS = ("refs/heads/exp", "refs/ckgit/closed")


def test_it_is_closed_at_the_authority_and_a_fresh_clone_verifies_it_when_its_branch_is_gone(shared: Bench) -> None:
    shared.advance(State.ANALYZED)
    close(shared)
    tip = shared.snapshot.tip
    assert refs(remote(shared), *EXPERIMENTS) == {"refs/heads/exp/demo": tip, CLOSED: tip}
    run_git(shared.folder, "push", "--quiet", "origin", ":exp/demo")  # the hook agrees: it is kept
    other = shared.clone("other", of=remote(shared))
    unknown = other.ckgit("show", "demo", check=False)
    assert unknown.returncode == Exit.USAGE
    line = next(part for part in unknown.stderr.split(", and ") if part.startswith("git fetch")).partition("' those")[0] + "'"
    subprocess.run(["bash", "-euc", line], cwd=other.folder, check=True, capture_output=True)
    (found,) = json.loads(other.ckgit("verify", "demo", "--json").stdout)["experiments"]
    assert [each["rule"] for each in found.pop("findings")] == ["attested"]  # by nobody: the remote makes no anchors
    assert found == {"experiment": "demo", "commit": tip, "commit_count": 8, "kept": "closed"}
    assert row(other)["closed"]["because"] == WHY  # type: ignore[index]
    assert other.ckgit("advance", "demo", check=False).returncode == Exit.ILLEGAL_TRANSITION
    close(other, "--reopen")
    assert refs(remote(shared), *EXPERIMENTS) == {"refs/heads/exp/demo": other.snapshot.tip}
    assert refs(other.folder, *EXPERIMENTS) == {"refs/heads/exp/demo": other.snapshot.tip}


def test_who_was_away_meanwhile_learns_that_it_is_closed(shared: Bench) -> None:
    shared.advance(State.SCAFFOLDED)
    one, two = (shared.clone(name, of=remote(shared)) for name in ("one", "two"))
    one.ckgit("status", "demo")
    run_git(one.folder, "branch", "--quiet", "exp/demo", "origin/exp/demo")
    close(shared)
    run_git(shared.folder, "push", "--quiet", "origin", ":exp/demo")
    design = shared.folder.parent / "design.yaml"
    design.write_bytes(shared.snapshot.summary_bytes())
    for bench in (one, two):
        done = bench.ckgit("advance", "demo", check=False)
        assert (done.returncode, "ckgit close demo --reopen" in done.stderr) == (Exit.ILLEGAL_TRANSITION, True), done.stderr
        assert refs(bench.folder, "refs/ckgit/closed") == refs(shared.folder, "refs/ckgit/closed")
    three = shared.clone("three", of=remote(shared))
    done = three.ckgit("design", "demo", "--from", str(design), check=False)
    assert (done.returncode, "demo is an experiment that was closed" in done.stderr) == (Exit.USAGE, True), done.stderr
    assert refs(remote(shared), "refs/heads/exp") == {}


def test_a_branch_that_is_behind_what_is_closed_is_brought_up_to_it(bench: Bench) -> None:
    """Without an authority: somebody has fetched what is kept, and had the branch from before."""
    bench.advance(State.SCAFFOLDED)
    before = bench.snapshot.tip
    close(bench)
    tip = bench.snapshot.tip
    run_git(bench.folder, "update-ref", "refs/heads/exp/demo", before)
    run_git(bench.folder, "update-ref", "-d", "refs/ckgit/tips/demo")
    for more in (("--dry-run",), ()):
        done = bench.ckgit("advance", "demo", *more, check=False)
        assert (done.returncode, "ckgit close demo --reopen" in done.stderr) == (Exit.ILLEGAL_TRANSITION, True), done.stderr
        assert bench.snapshot.tip == (before if more else tip)


class Killed(BaseException):
    """The process ends here."""


def killed(*_: object, **__: object) -> None:
    raise Killed


@pytest.mark.parametrize("place", ["move", "push"])
def test_killed_anywhere_the_same_command_does_the_rest(shared: Bench, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shared.advance(State.SCAFFOLDED)
    for words in (("--because", WHY), ("--reopen",)):
        with monkeypatch.context() as patch:
            patch.setattr(*((commit, "move") if place == "move" else (authority, "push_refs")), killed)
            with pytest.raises(Killed):
                close(shared, *words)
        assert refs(shared.folder, "refs/heads/exp") != refs(remote(shared), "refs/heads/exp") or place == "move"
        close(shared, *(words if place == "move" else words[-1:] if words == ("--reopen",) else ()))
        tip = shared.snapshot.tip
        kept = {CLOSED: tip} if words != ("--reopen",) else {}
        assert refs(remote(shared), *EXPERIMENTS) == refs(shared.folder, *EXPERIMENTS) == {"refs/heads/exp/demo": tip, **kept}
    assert shared.history() == ["design", "scaffold", "close", "reopen"]


def test_reopened_and_killed_before_it_was_pushed_the_next_step_pushes_all_of_it(shared: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    close(shared)
    with monkeypatch.context() as patch:
        patch.setattr(authority, "push_refs", killed)
        with pytest.raises(Killed):
            close(shared, "--reopen")
    assert CLOSED in refs(remote(shared), *EXPERIMENTS)
    shared.advance()
    assert refs(remote(shared), *EXPERIMENTS) == {"refs/heads/exp/demo": shared.snapshot.tip}


def test_an_authority_that_refuses_has_neither(shared: Bench) -> None:
    hook = remote(shared) / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    before = refs(remote(shared))
    done = close(shared, check=False)
    assert (done.returncode, "ckgit close demo pushes it" in done.stderr) == (Exit.COMMAND_FAILED, True), done.stderr
    assert refs(remote(shared)) == before
    hook.unlink()
    close(shared, "--because", WHY)
    assert set(refs(remote(shared), *EXPERIMENTS)) == {"refs/heads/exp/demo", CLOSED}
    with pytest.raises(CkgitError, match="demo is closed"):
        shared.advance()


def test_a_design_by_hand_takes_no_name_that_is_taken(bench: Bench) -> None:
    summary = bench.snapshot.summary_bytes()
    gone(bench)
    bench.ckgit("hooks", "install")
    run_git(bench.folder, "switch", "--quiet", "--create", "exp/demo", "main")
    file = bench.folder / "experiments/demo/experiment_summary.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(summary)
    run_git(bench.folder, "add", "experiments")
    done = subprocess.run(["git", "commit", "--message=My design"], cwd=bench.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "demo is the name of an experiment that was closed [name]\n  choose another name; ckgit show demo shows" in done.stderr
    run_git(bench.folder, "switch", "--quiet", "--force", "--create", "exp/other", "main")
    run_git(bench.folder, "branch", "-D", "exp/demo")
    run_git(bench.folder, "branch", "exp/demo", CLOSED)
    run_git(bench.folder, "switch", "--quiet", "exp/demo")
    file.write_text(file.read_text() + "\nA note.\n")
    run_git(bench.folder, "commit", "--quiet", "--all", "--message=A note")  # it is the one that has the name

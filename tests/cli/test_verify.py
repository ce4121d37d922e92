"""`ckgit verify` on the command line: which experiments are meant, what is printed, with which exit code, and what is remembered."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.outputs.findings import VerifiedExperiment
from ckgit.experiment.results import Checkpoint
from ckgit.lab.lab import Lab
from ckgit.lab.models import find
from ckgit.orchestrators.review.rules import RULES
from ckgit.orchestrators.review.verify.branch import verify_branch
from ckgit.orchestrators.review.verify.deep import deep
from ckgit.workers import digests as workers_digests
from ckgit.workers.digests import digests
from tests.by_hand import commit_by_hand
from tests.command_line import ckgit
from tests.orchestrators.bench import Bench, design_demo

pytestmark = pytest.mark.slow
HOLDS = "all that is recorded follows from what is in git"


def git(bench: Bench, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=bench.folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def trained(bench: Bench) -> Bench:
    bench.advance(State.TRAINED)
    return bench


def test_what_holds_and_what_does_not(trained: Bench) -> None:
    done = trained.ckgit("verify", "demo")
    assert done.stdout == f"demo at {trained.snapshot.tip[:12]}, 4 commits: {HOLDS}\n"
    commit_by_hand(trained.folder, "rank4/training.log", "Step 1 | loss:0.1\n")
    done = trained.ckgit("verify", "demo", check=False)
    assert done.returncode == Exit.NOT_VERIFIED
    first, finding, advice = done.stdout.splitlines()
    assert first.endswith("5 commits: it does not hold (1 error)")
    assert finding.endswith("experiments/demo/rank4/training.log: ckgit wrote it, and it was changed by hand [edited]")
    assert advice.strip() == RULES["edited"].do


@pytest.mark.parametrize("target", ["exp/demo", "main..exp/demo", "HEAD..refs/heads/exp/demo", "{commit}"])
def test_what_is_meant(trained: Bench, target: str) -> None:
    done = trained.ckgit("verify", target.format(commit=trained.snapshot.tip))
    assert done.stdout.startswith("demo at ")


@pytest.mark.parametrize("target", ["nope", "nope..main", "main..nope", "main", "../..", "a b", "exp/\x1b[31m"])
def test_what_is_not_there(trained: Bench, target: str) -> None:
    done = trained.ckgit("verify", target, check=False)
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
    assert "\x1b" not in done.stderr


def test_where_there_is_no_experiment_all_says_so(lab_folder: Path) -> None:
    done = ckgit("-C", str(lab_folder), "verify", "--all")
    assert (done.returncode, done.stdout) == (Exit.DONE, "")
    assert done.stderr == "no experiments yet, so there is nothing to verify\n"


def test_the_checked_out_one_and_all(trained: Bench) -> None:
    design_demo(trained.lab, {"experiment": {"name": "other", "question": "What?", "date": "2026-11-23"}}, name="other")
    assert [line.split()[0] for line in trained.ckgit("verify", "--all").stdout.splitlines()] == ["demo", "other"]
    git(trained, "switch", "--quiet", "exp/other")
    assert trained.ckgit("verify").stdout.startswith("other at ")


def test_one_that_was_merged_and_deleted(trained: Bench) -> None:
    git(trained, "merge", "--quiet", "--no-ff", "--no-edit", "exp/demo")
    git(trained, "branch", "--quiet", "-D", "exp/demo")
    assert HOLDS in trained.ckgit("verify", "demo").stdout
    assert HOLDS in trained.ckgit("verify", "--all").stdout
    (trained.folder / "experiments/demo/jobs.json").write_text("{}")
    git(trained, "commit", "--quiet", "--all", "-m", "Better so")
    done = trained.ckgit("verify", "demo", check=False)
    assert (done.returncode, "main holds something else" in done.stdout) == (Exit.NOT_VERIFIED, True)


def test_what_was_merged_is_held_also_where_the_branch_is_still_there(trained: Bench) -> None:
    git(trained, "merge", "--quiet", "--no-ff", "--no-edit", "exp/demo")
    assert [line.split()[0] for line in trained.ckgit("verify", "--all").stdout.splitlines()] == ["demo", "demo"]
    (trained.folder / "experiments/demo/rank4/training.log").write_text("Step 1 | loss:0.1\n")
    git(trained, "commit", "--quiet", "--all", "-m", "Better so")
    done = trained.ckgit("verify", "--all", check=False)
    assert (done.returncode, "main holds something else" in done.stdout) == (Exit.NOT_VERIFIED, True)
    assert HOLDS in trained.ckgit("verify", "demo").stdout  # the branch itself


def test_notes_of_ones_own_may_be_merged_after_the_last_step(trained: Bench) -> None:
    text = (trained.snapshot.read("experiments/demo/experiment_summary.md") or b"").decode()
    commit_by_hand(trained.folder, "notes.md", "What I think of it\n")
    commit_by_hand(trained.folder, "experiment_summary.md", f"{text}\nMy own words.\n")
    git(trained, "merge", "--quiet", "--no-ff", "--no-edit", "exp/demo")
    git(trained, "branch", "--quiet", "-D", "exp/demo")
    assert HOLDS in trained.ckgit("verify", "demo").stdout
    summary = trained.folder / "experiments/demo/experiment_summary.md"
    summary.write_text(summary.read_text().replace("state: trained", "state: analyzed"))
    git(trained, "commit", "--quiet", "--all", "-m", "Done")
    assert trained.ckgit("verify", "demo", check=False).returncode == Exit.NOT_VERIFIED


def test_a_range_is_about_what_its_head_brings(trained: Bench) -> None:
    design_demo(trained.lab, {"experiment": {"name": "other", "question": "What?", "date": "2026-11-23"}}, name="other")
    git(trained, "merge", "--quiet", "--no-ff", "--no-edit", "exp/demo")  # after `other` has parted from main
    assert [line.split()[0] for line in trained.ckgit("verify", "main..exp/other").stdout.splitlines()] == ["other"]
    assert [line.split()[0] for line in trained.ckgit("verify", "main...exp/other").stdout.splitlines()] == ["other"]
    done = trained.ckgit("verify", "main~1..main")  # the merge itself
    assert (done.stdout.split()[0], HOLDS in done.stdout) == ("demo", True)


def test_a_shallow_clone_says_what_to_fetch(trained: Bench, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "-q", "--depth=1", "--no-single-branch", f"file://{trained.folder}", str(tmp_path / "ci")], check=True)
    clone = trained._replace(folder=tmp_path / "ci")
    done = clone.ckgit("verify", "demo", check=False)
    assert (done.returncode, "next:  git fetch --unshallow" in done.stderr) == (Exit.EVIDENCE_MISSING, True), done.stderr
    git(clone, "fetch", "-q", "--unshallow")
    assert HOLDS in clone.ckgit("verify", "demo").stdout


def test_a_change_of_the_lab_is_named(trained: Bench) -> None:
    git(trained, "switch", "-q", "exp/demo")
    (trained.folder / "ckgit.toml").write_text("# mine\n")
    git(trained, "commit", "-qam", "My settings")
    git(trained, "switch", "-q", "main")
    done = trained.ckgit("verify", "demo")
    assert "warning:" in done.stdout
    assert "ckgit.toml: it is no file of this experiment [outside]" in done.stdout


def test_one_that_cannot_be_verified_here_stops_no_other(trained: Bench) -> None:
    other = {"experiment": {"name": "other", "question": "What?", "date": "2026-11-23"}}
    design_demo(trained.lab, other, name="other")
    trained.ckgit("advance", "other")
    with patch("ckgit.orchestrators.review.verify.verify.verify_branch", side_effect=_without_tool_for("demo")):
        done = trained.ckgit("verify", "--all", check=False)
    assert done.returncode == Exit.TOOL_MISSING
    assert "ckgit: demo: there is no worker" in done.stderr
    assert done.stdout.startswith("other at ")


def _without_tool_for(missing: str) -> Callable[[Lab, str, str], VerifiedExperiment]:
    """As where the design of one experiment names a tool that is not installed."""

    def verified(lab: Lab, name: str, commit: str) -> VerifiedExperiment:
        if name == missing:
            raise CkgitError("there is no worker", code=Exit.TOOL_MISSING)
        return verify_branch(lab, name, commit)

    return verified


def test_it_is_remembered_and_what_is_remembered_may_be_broken(trained: Bench) -> None:
    first = trained.ckgit("verify", "demo", "--json").stdout
    (remembered,) = Path(os.environ["XDG_CACHE_HOME"]).glob("ckgit/verified/*.json")
    document = json.loads(remembered.read_text())
    remembered.write_text(json.dumps({**document, "commit_count": 99}))
    assert json.loads(trained.ckgit("verify", "demo", "--json").stdout)["experiments"][0]["commit_count"] == 99
    remembered.write_text("{")
    assert trained.ckgit("verify", "demo", "--json").stdout == first


def test_findings_as_sarif(trained: Bench, tmp_path: Path) -> None:
    commit_by_hand(trained.folder, "rank4/training.log", "Step 1 | loss:0.1\n")
    trained.ckgit("verify", "demo", "--sarif", str(tmp_path / "found.sarif"), check=False)
    document = json.loads((tmp_path / "found.sarif").read_text())
    (run,) = document["runs"]
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == ("edited", "error")
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "edited"
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "experiments/demo/rank4/training.log"
    done = trained.ckgit("verify", "demo", "--sarif", str(tmp_path), check=False)
    assert done.returncode == Exit.USAGE


def test_the_rules_are_listed_with_an_example_each(trained: Bench) -> None:
    listed = trained.ckgit("verify", "--rules").stdout
    assert all(f"{rule.name} ({rule.severity})\n  {rule.means}\n" in listed and rule.example in listed for rule in RULES.values())
    document = json.loads(trained.ckgit("verify", "--rules", "--json").stdout)
    assert [each["rule"] for each in document["rules"]] == [*RULES]


def test_the_cluster_is_asked(trained: Bench) -> None:
    done = trained.ckgit("verify", "demo", "--deep")
    assert "2 of 2 jobs cannot be asked for: the local scheduler keeps no accounts [unchecked]" in done.stdout
    attempt = trained.latest("rank4/finetune")
    status = trained.work / ".ckgit/jobs" / attempt.token / "status.json"
    status.write_text(status.read_text().replace('"exit_code": 0', '"exit_code": 1'))
    done = trained.ckgit("verify", "demo", "--deep", check=False)
    assert done.returncode == Exit.NOT_VERIFIED
    assert "rank4/finetune, attempt 1: its status says exit_code 1, and the ledger 0 [account]" in done.stdout
    shutil.rmtree(trained.work)
    assert trained.ckgit("verify", "demo", "--deep").returncode == 0


def test_a_base_that_was_moved_is_read_once_for_all_adapters(trained: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked for by its bytes, and then held against what training recorded, checkpoint by checkpoint."""
    for run in ("rank4", "rank8"):
        place = f"experiments/demo/{run}/artifacts/epoch_0"
        folder = trained.work / place
        (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "models/tiny"}')
        (folder / "adapter_model.safetensors").write_bytes(b"adapter")
        saved = Checkpoint(epoch=0, path=place, bytes=7, sha256="0" * 64, files=dict(digests(folder, trained.work.joinpath)))
        commit_by_hand(trained.folder, f"{run}/checkpoints.json", f"[{saved.model_dump_json()}]")
    (trained.folder / "models/tiny").rename(trained.folder / "models/moved")
    read, sha256, each = list[str](), find.sha256, workers_digests._digest
    monkeypatch.setattr(find, "sha256", lambda file: (read.append(file.name), sha256(file))[1])
    monkeypatch.setattr(workers_digests, "_digest", lambda file: (read.append(file.name), each(file))[1])
    listed = deep(trained.lab, "demo", git(trained, "rev-parse", "exp/demo"))
    assert [found.message for found in listed if "accounts" not in found.message] == []
    assert (read.count("model.safetensors"), read.count("adapter_model.safetensors")) == (1, 2)


def test_an_adapter_is_held_against_what_training_recorded_of_it_and_of_its_base(trained: Bench, tmp_path: Path) -> None:
    folder, place = trained.work / "experiments/demo/rank4/artifacts/epoch_0", "experiments/demo/rank4/artifacts/epoch_0"
    config, weights = folder / "adapter_config.json", folder / "adapter_model.safetensors"
    told = '{"base_model_name_or_path": "models/tiny"}'
    config.write_text(told)
    weights.write_bytes(b"adapter")
    saved = Checkpoint(epoch=0, path=place, bytes=7, sha256="0" * 64, files=dict(digests(folder, trained.work.joinpath)))
    commit_by_hand(trained.folder, "rank4/checkpoints.json", f"[{saved.model_dump_json()}]")

    def found() -> list[tuple[str, str]]:
        listed = deep(trained.lab, "demo", git(trained, "rev-parse", "exp/demo"))
        return [(each.rule, each.message) for each in listed if "accounts" not in each.message]

    assert found() == []
    moved = (trained.folder / "models/tiny").rename(trained.folder / "models/moved")
    assert found() == []  # it is found there
    moved.rename(tmp_path / "away")
    lacking = ("unchecked", f"{folder} is loaded beside models/tiny, which this machine lacks: the adapter alone was compared")
    assert found() == [lacking]
    weights.write_bytes(b"another")
    [(rule, what), last] = found()
    assert (rule, what.startswith(f"{weights}: FAILED (its SHA-256 is "), last) == ("checkpoint", True, lacking)
    config.write_text("{}")
    assert found() == [("checkpoint", f"{config} does not say which model the adapter is of")]
    config.write_text(told)
    weights.write_bytes(b"adapter")
    (tmp_path / "away").rename(trained.folder / "models/tiny")
    (trained.folder / "models/tiny/model.safetensors").write_bytes(b"fakez")
    [(rule, what)] = found()
    assert (rule, what.startswith(f"{folder}/base/model.safetensors: FAILED (its SHA-256 is ")) == ("checkpoint", True)

"""Another cluster takes an experiment over."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import threading
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.results import Checkpoint
from ckgit.orchestrators.commands.advance import advance
from ckgit.orchestrators.engine.experiment import open_experiment
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.run import change_cluster
from ckgit.orchestrators.scaffold.rerender import bring
from ckgit.workers.digests import digests
from tests.by_hand import commit_by_hand
from tests.orchestrators.bench import Bench, steered
from tests.orchestrators.upkeep.test_clean import files

OTHER = """
[clusters.other]
scheduler = "local"
work_root = "elsewhere"
poll_seconds = 0.05
grace_seconds = 0.3
setup = [{steer}, "export OF_THE_OTHER=1"]
"""


@pytest.fixture
def two(bench: Bench) -> Bench:
    with (bench.folder / "ckgit.toml").open("a") as file:
        file.write(OTHER.format(steer=json.dumps(steered(bench.steer))))
    subprocess.run(["git", "commit", "-qam", "another cluster"], cwd=bench.folder, check=True)
    return bench


def move(bench: Bench, to: State | None, cluster: str = "other") -> Exit:
    return advance(bench.lab, "demo", AdvanceOptions(to=to, cluster=cluster), bench.heard).code


def test_evaluation_goes_on_elsewhere_with_the_checkpoints_of_the_first_cluster(two: Bench) -> None:
    two.advance(State.TRAINED)
    first, scripts = two.work, two.snapshot.tip
    assert move(two, State.ANALYZED) is Exit.DONE
    assert two.work != first
    assert (two.work.parents[2] == two.folder / "elsewhere", two.ledger.cluster, two.ledger.moved_from) == (True, "other", str(first))
    weights = "experiments/demo/rank4/artifacts/epoch_0/weights"
    assert (two.work / weights).read_bytes() == (first / weights).read_bytes()
    assert [token for token in two.executions() if "finetune" in token] == two.executions()[:2]  # nothing was trained again
    assert two.history()[-4:] == ["submit", "submit", "evaluate", "analyze"]
    script = two.snapshot.read("experiments/demo/rank4/eval/capitalization_epoch0.slurm")
    assert b"OF_THE_OTHER" in (script or b"")
    path = f"{scripts}:experiments/demo/rank4/finetune.slurm"
    before = subprocess.run(["git", "show", path], cwd=two.folder, capture_output=True, check=True)
    assert b"OF_THE_OTHER" not in before.stdout


def test_it_is_refused_while_jobs_are_in_flight(two: Bench) -> None:
    two.hold()
    two.advance(State.SCAFFOLDED)
    two.advance(wait=False)
    tip = two.snapshot.tip
    with pytest.raises(CkgitError, match="in flight on cluster local") as caught:
        move(two, None)
    assert (caught.value.code, two.snapshot.tip) == (Exit.IN_FLIGHT, tip)
    two.go()


def test_checkpoints_that_cannot_be_seen_from_here_are_not_left_behind(two: Bench) -> None:
    two.advance(State.TRAINED)
    work: Path = two.work
    work.rename(work.with_name("hidden"))
    with pytest.raises(CkgitError, match="checkpoints of 2 runs") as caught:
        move(two, None)
    assert caught.value.code is Exit.EVIDENCE_MISSING


def test_a_cluster_is_taken_over_once_and_one_that_is_not_there_is_named(two: Bench) -> None:
    with pytest.raises(CkgitError, match="has not run anywhere yet") as caught:
        move(two, None)
    assert caught.value.code is Exit.ILLEGAL_TRANSITION
    two.advance(State.TRAINED)
    assert move(two, State.TRAINED) is Exit.DONE
    tip = two.snapshot.tip
    assert move(two, State.TRAINED) is Exit.DONE
    assert two.snapshot.tip == tip
    with pytest.raises(CkgitError, match="no cluster profile 'nowhere'"):
        move(two, State.EVALUATED, "nowhere")


def test_checkpoints_follow_a_second_move_though_nothing_ran_where_the_first_one_led(two: Bench) -> None:
    two.advance(State.TRAINED)
    first = two.work
    assert move(two, State.TRAINED) is Exit.DONE
    assert (two.ledger.work_tree, two.ledger.moved_from) == ("", str(first))
    first.rename(first.with_name("hidden"))
    with pytest.raises(CkgitError, match=f"lie in {first}, which this machine does not see"):
        move(two, State.EVALUATED, "local")
    first.with_name("hidden").rename(first)
    assert move(two, State.EVALUATED, "local") is Exit.DONE
    assert two.ledger.moved_from == str(first) != two.ledger.work_tree
    assert len([token for token in two.executions() if "finetune" in token]) == 2


class Killed(BaseException):
    pass


@pytest.mark.parametrize(("after", "elsewhere"), [(3, False), (5, False), (2, True)])
def test_a_copy_that_was_cut_short_goes_on(two: Bench, monkeypatch: pytest.MonkeyPatch, after: int, *, elsewhere: bool) -> None:
    """A link in it is brought as it is. On another file system files are copied, of which one may be cut, too."""
    two.advance(State.TRAINED)
    saved = two.work / "experiments/demo/rank4/artifacts"
    (saved / "epoch_0/latest").symlink_to("weights")
    (saved / "epoch_0/more").mkdir()
    (saved / "epoch_0/more/weights").write_bytes(b"more")
    done, copying = list[str](), change_cluster._linked

    def dies(source: Path, target: Path) -> None:
        if len(done) == after:
            if elsewhere:
                target.write_bytes(source.read_bytes()[:1])
            raise Killed
        done.append(target.name)
        if elsewhere:
            shutil.copy2(source, target, follow_symlinks=False)
        else:
            copying(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(change_cluster, "_linked", dies)
        with pytest.raises(Killed):
            move(two, State.ANALYZED)
    assert two.advance(State.ANALYZED).code is Exit.DONE
    brought = two.work / "experiments/demo/rank4/artifacts"
    assert files(brought) == files(saved)
    assert (brought / "epoch_0/latest").readlink() == Path("weights")
    assert not list(two.work.glob("**/artifacts.part"))


def test_a_second_process_waits_for_the_one_that_copies(two: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between file systems, where half a file may be there: it goes on once the second asks for the lock, or meddles."""
    two.advance(State.TRAINED)
    saved, begun, asked, meddled = two.work / "experiments/demo/rank4/artifacts", threading.Event(), threading.Event(), list[str]()
    flock, view = fcntl.flock, open_experiment(two.lab, "demo")
    first = threading.current_thread()

    def slowly(source: Path, target: Path) -> None:
        if threading.current_thread() is not first:
            meddled.extend([str(target)] if "rank4" in target.parts else [])
            asked.set()
        elif not begun.is_set():
            target.write_bytes(source.read_bytes()[:1])
            begun.set()
            asked.wait()
        shutil.copy2(source, target, follow_symlinks=False)

    def asks(descriptor: int, flags: int) -> None:
        if threading.current_thread() is not first:
            asked.set()
        flock(descriptor, flags)

    def second() -> None:
        begun.wait()
        try:
            change_cluster.bring_checkpoints(view, two.ledger, work)
        except CkgitError as error:
            meddled.append(str(error))

    work = two.folder / "elsewhere"
    monkeypatch.setattr(change_cluster, "_linked", slowly)
    monkeypatch.setattr(fcntl, "flock", asks)
    other = threading.Thread(target=second)
    other.start()
    change_cluster.bring_checkpoints(view, two.ledger, work)
    other.join()
    assert meddled == []
    assert files(work / "experiments/demo/rank4/artifacts") == files(saved)
    assert [each.name for each in (work / "experiments/demo/rank4").iterdir()] == ["artifacts"]


def test_two_processes_that_bring_the_same_script_do_not_meet(two: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    two.advance(State.TRAINED)
    view, replace, others = open_experiment(two.lab, "demo"), Path.replace, list[ForkProcess]()
    task = two.work / "tasks/capitalization.py"
    wanted = task.read_bytes()
    task.write_bytes(b"changed by hand")

    def second_first(part: Path, place: Path) -> Path:
        if not others:
            others.append(get_context("fork").Process(target=bring, args=(view, {}, [], two.work)))
            others[0].start()
            others[0].join()
        return replace(part, place)

    monkeypatch.setattr(Path, "replace", second_first)
    bring(view, {}, [], two.work)
    assert (others[0].exitcode, task.read_bytes(), list(task.parent.glob(".*"))) == (0, wanted, [])


def test_an_adapter_is_brought_along_and_held_against_its_base_there(two: Bench) -> None:
    two.advance(State.TRAINED)
    artifacts = two.work / "experiments/demo/rank4/artifacts"
    (artifacts / "epoch_0/adapter_config.json").write_text('{"base_model_name_or_path": "models/tiny"}')
    (artifacts / "epoch_0/adapter_model.safetensors").write_bytes(b"adapter")
    place = Path("experiments/demo/rank4/artifacts/epoch_0")
    saved = digests(two.work / place, two.work.joinpath)
    assert "base/model.safetensors" in saved
    manifest = f"[{Checkpoint(epoch=0, path=str(place), bytes=7, sha256='0' * 64, files=dict(saved)).model_dump_json()}]"
    (artifacts / "checkpoints.json").write_text(manifest)
    commit_by_hand(two.folder, "rank4/checkpoints.json", manifest)
    assert move(two, State.ANALYZED) is Exit.DONE
    assert (two.work / place / "adapter_model.safetensors").read_bytes() == b"adapter"


def test_checkpoints_that_are_not_what_training_committed_are_not_brought_along(two: Bench) -> None:
    two.advance(State.TRAINED)
    artifacts = two.work / "experiments/demo/rank4/artifacts"
    weights = artifacts / "epoch_0/model.safetensors"
    weights.write_bytes(b"trained")
    saved = {"model.safetensors": {"sha256": hashlib.sha256(b"trained").hexdigest(), "bytes": 7}}
    entry = {"epoch": 0, "path": "experiments/demo/rank4/artifacts/epoch_0", "bytes": 7, "sha256": "0" * 64, "files": saved}
    manifest = json.dumps([entry])
    (artifacts / "checkpoints.json").write_text(manifest)
    commit_by_hand(two.folder, "rank4/checkpoints.json", manifest)
    weights.write_bytes(b"damaged")
    with pytest.raises(CkgitError) as caught:
        move(two, State.EVALUATED)
    assert caught.value.code is Exit.EVIDENCE_MISSING
    assert f"{weights}: FAILED (its SHA-256 is " in caught.value.what
    assert "ckgit revise demo" in caught.value.next
    weights.write_bytes(b"trained")
    (artifacts / "checkpoints.json").write_text("[]")  # as another training would leave it
    with pytest.raises(CkgitError, match=r"checkpoints.json: FAILED \(it is not what training committed"):
        two.advance(State.EVALUATED)
    (artifacts / "checkpoints.json").write_text(manifest)
    assert two.advance(State.ANALYZED).code is Exit.DONE
    assert (two.work / "experiments/demo/rank4/artifacts/epoch_0/model.safetensors").read_bytes() == b"trained"
    assert not list(two.work.glob("**/artifacts.part"))

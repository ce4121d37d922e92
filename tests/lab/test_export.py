import hashlib
import json
import multiprocessing
from pathlib import Path

import pytest

import ckgit.lab.export
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import Event
from ckgit.lab.commit import CommitPlan, make_commit
from ckgit.lab.context import job_inputs, load_context
from ckgit.lab.export import export_work_tree, lead
from ckgit.lab.lab import open_lab
from ckgit.lab.models.find import find_model, register
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.lab.summary.file import SummaryFile
from tests.conftest import CONFIG, DESIGN
from tests.lab.test_context import change

SUMMARY = "experiments/cap/experiment_summary.md"


def export(lab, snapshot):
    context = load_context(lab, snapshot)
    card = (lab.root / "models/tiny.yaml").read_bytes()
    folder = find_model(lab, context.cluster, context.cards["tiny"], card)
    target = lab.work_root(context.cluster_name) / lab.config.name / "cap" / snapshot.tip[:12]
    return export_work_tree(lab, job_inputs(snapshot, context), target, {"tiny": folder})


def test_what_jobs_need_and_nothing_else(lab, designed, run):
    (lab.root / "README.md").write_text("unrelated")
    (lab.root / "tasks/helper.py").write_text("used = 1\n")
    run(lab.root, "add", "--all")
    run(lab.root, "commit", "--quiet", "-m", "More")
    run(lab.root, "switch", "--quiet", "exp/cap")
    run(lab.root, "merge", "--quiet", "-m", "Merge", "main")
    snapshot = take_snapshot(lab, "cap")

    work = export(lab, snapshot)

    assert work == lab.root / ".ckgit/work/test-lab/cap" / snapshot.tip[:12]
    files = sorted(str(file.relative_to(work)) for file in work.rglob("*") if file.is_file() and "models/tiny/" not in str(file))
    assert files == [
        ".ckgit/export.json",
        "data/words.json",
        SUMMARY,
        "models/tiny.yaml",
        "tasks/capitalization.py",
        "tasks/helper.py",
    ]
    assert (work / SUMMARY).read_bytes() == snapshot.summary_bytes()
    assert (work / "models/tiny").readlink() == lab.root / "models/tiny"
    assert run(lab.root, "status", "--porcelain") == ""
    assert [place.name for place in work.parent.iterdir()] == [work.name]


def test_bytes_are_those_of_the_commit_whatever_git_would_convert(lab, designed, run):
    (lab.root / ".gitattributes").write_text("* text eol=crlf\ntasks/* export-ignore\n$Id$ export-subst\n")

    work = export(lab, change(lab, run, lambda: (lab.root / "tasks/b.py").write_text("a = 1\nb = 2\n")))

    assert (work / "tasks/b.py").read_bytes() == b"a = 1\nb = 2\n"


def test_a_second_export_changes_nothing(lab, designed):
    work = export(lab, designed)
    (work / "experiments/cap/rank4").mkdir()
    (work / "experiments/cap/rank4/status").write_text("a job's own")
    before = {file: file.stat().st_mtime_ns for file in work.rglob("*")}

    assert export(lab, designed) == work
    assert {file: file.stat().st_mtime_ns for file in work.rglob("*")} == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda work: (work / "data/words.json").unlink(),
        lambda work: (work / "data/words.json").write_text("short"),
        lambda work: (work / ".ckgit/export.json").write_text("{"),
        lambda work: (work / ".ckgit/export.json").unlink(),
    ],
)
def test_a_damaged_work_tree_is_named_and_left(lab, designed, damage):
    work = export(lab, designed)
    damage(work)

    with pytest.raises(CkgitError, match="damaged after its export") as caught:
        export(lab, designed)

    assert caught.value.code is Exit.EVIDENCE_MISSING
    assert work.is_dir()


@pytest.mark.parametrize("lost", [False, True])
def test_the_link_to_a_model_that_was_moved_leads_there_again(lab, designed, tmp_path, lost):
    work = export(lab, designed)
    link, moved = work / "models/tiny", tmp_path / "moved"
    (lab.root / "models/tiny").rename(moved)
    register((lab.root / "models/tiny.yaml").read_bytes(), moved)
    if lost:  # as in what an archive has brought back
        link.unlink()

    assert export(lab, designed) == work
    assert link.readlink() == moved
    assert export(lab, designed) == work  # and its list says so
    assert json.loads((work / ".ckgit/export.json").read_bytes())["links"] == {"models/tiny": str(moved)}


def test_a_command_that_was_killed_before_it_listed_a_link_is_made_good_by_the_next(lab, designed, tmp_path, monkeypatch):
    work = export(lab, designed)
    moved = (lab.root / "models/tiny").rename(tmp_path / "moved")
    register((lab.root / "models/tiny.yaml").read_bytes(), moved)
    with monkeypatch.context() as patched:
        patched.setattr(ckgit.lab.export, "_list_links", lambda *_: pytest.exit("killed"))
        with pytest.raises(pytest.exit.Exception):
            export(lab, designed)
    assert (work / "models/tiny").readlink() == moved
    assert export(lab, designed) == work
    assert json.loads((work / ".ckgit/export.json").read_bytes())["links"] == {"models/tiny": str(moved)}


def test_two_processes_that_lead_the_same_link_do_not_meet(lab, designed, tmp_path, monkeypatch):
    work, replace, others = export(lab, designed), Path.replace, []
    moved = tmp_path / "moved"
    moved.mkdir()

    def second_first(part, place):
        if place.name == "export.json" and not others:  # as the first one is about to put its list there
            others.append(multiprocessing.get_context("fork").Process(target=lead, args=(work, {"tiny": moved})))
            others[0].start()
            others[0].join()
        return replace(part, place)

    monkeypatch.setattr(Path, "replace", second_first)
    lead(work, {"tiny": moved})
    assert others[0].exitcode == 0
    assert json.loads((work / ".ckgit/export.json").read_bytes())["links"] == {"models/tiny": str(moved)}
    assert [file.name for file in (work / ".ckgit").iterdir()] == ["export.json"]


def test_a_folder_in_the_place_of_a_link_is_somebodys(lab, designed):
    work = export(lab, designed)
    (work / "models/tiny").unlink()
    (work / "models/tiny").mkdir()
    lead(work, {"tiny": lab.root / "models/tiny"})
    assert (work / "models/tiny").is_dir()
    assert not (work / "models/tiny").is_symlink()


def test_a_link_in_the_commit_is_refused(lab, designed, run):
    snapshot = change(lab, run, lambda: (lab.root / "experiments/cap/out").symlink_to("/etc"))

    with pytest.raises(CkgitError, match="experiments/cap/out is a symbolic link"):
        export(lab, snapshot)

    assert not (lab.root / ".ckgit").exists()


def test_a_submodule_in_the_tasks_is_refused(lab, designed, run):
    def add():
        run(lab.root, "update-index", "--add", "--cacheinfo", f"160000,{designed.tip},tasks/module")
        (lab.root / "tasks/module").mkdir()

    snapshot = change(lab, run, add)

    with pytest.raises(CkgitError, match="tasks/module is a submodule"):
        export(lab, snapshot)


def test_a_work_root_that_cannot_be_written(lab, designed):
    (lab.root / ".ckgit").write_text("a file in the way")

    with pytest.raises(CkgitError, match="the work tree cannot be written") as caught:
        export(lab, designed)

    assert caught.value.code is Exit.COMMAND_FAILED


def test_an_ignore_file_that_does_not_know_ckgit(lab, designed, run):
    (lab.root / ".gitignore").write_text("/models/*/\n")
    run(lab.root, "commit", "--quiet", "--all", "-m", "Ignore less")

    export(lab, designed)

    assert run(lab.root, "status", "--porcelain") == ""


def outside_lab(lab, run, tmp_path, *, digest):
    """A lab whose data file lies under data_root."""
    (tmp_path / "big/data").mkdir(parents=True)
    (lab.root / "data/words.json").rename(tmp_path / "big/data/words.json")
    (lab.root / "ckgit.toml").write_text(CONFIG + f'data_root = "{tmp_path / "big"}"\n')
    run(lab.root, "commit", "--quiet", "--all", "-m", "Data outside")
    lab = open_lab(lab.root)
    content = DESIGN.replace("{path: data/words.json}", f"{{path: data/words.json{digest}}}")
    summary = SummaryFile.from_design(content.encode(), SUMMARY)
    make_commit(
        lab,
        CommitPlan(
            name="cap", event=Event.DESIGN, parent=None, files={SUMMARY: summary.dump()}, design_digest=summary.summary.digest, body=""
        ),
    )
    return lab, take_snapshot(lab, "cap")


def test_data_outside_of_the_lab_is_linked_after_its_digest_was_checked(lab, run, tmp_path):
    digest = hashlib.sha256((lab.root / "data/words.json").read_bytes()).hexdigest()
    lab, snapshot = outside_lab(lab, run, tmp_path, digest=f", sha256: {digest}")

    work = export(lab, snapshot)

    assert (work / "data/words.json").readlink() == tmp_path / "big/data/words.json"


def test_data_outside_of_the_lab_that_changed(lab, run, tmp_path):
    lab, snapshot = outside_lab(lab, run, tmp_path, digest=f", sha256: {'a' * 64}")

    with pytest.raises(CkgitError, match="has changed: its SHA-256"):
        export(lab, snapshot)


def test_data_outside_of_the_lab_needs_a_digest_and_a_file(lab, run, tmp_path):
    lab, snapshot = outside_lab(lab, run, tmp_path, digest="")
    with pytest.raises(CkgitError, match="needs its sha256 in the design"):
        export(lab, snapshot)


def contend(lab, snapshot, results):
    results.put(export(lab, snapshot))


def test_two_exports_at_once_leave_one_whole_tree(lab, designed):
    forks = multiprocessing.get_context("fork")
    results = forks.Queue()
    processes = [forks.Process(target=contend, args=(lab, designed, results)) for _ in range(6)]
    for process in processes:
        process.start()
    places = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()

    (work,) = places
    assert list(work.parent.iterdir()) == [work]
    assert set(json.loads((work / ".ckgit/export.json").read_text())["files"]) >= {"data/words.json", SUMMARY}

"""Files that tasks need are found, recorded, held to their digests, exported and verified by jobs; what is not there is told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from ckgit.errors import CkgitError, DesignError, Exit
from ckgit.experiment.worker import Context
from ckgit.lab.context import job_inputs, load_context
from ckgit.lab.lab import Lab, open_lab
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.design import draft as design
from ckgit.workers.inspect_ai import worker as inspect_worker
from ckgit.workers.torchtune import worker as torchtune_worker
from tests.orchestrators.design.test_draft import DESIGN

Git = Callable[..., str]
FILES = {
    "tasks/helpers.py": "from deeper import more\n",
    "tasks/deeper.py": "RUBRIC = open('rubric.txt').read()\n",
    "tasks/rubric.txt": "be strict\n",
    "lib/scorers.py": "@scorer(metrics=[])\ndef risk(levels, most=None): ...\n",
    "shared/names.txt": "Ada\n",
    "shared/own.txt": "only one task\n",
}
ARGS = {"levels": ["low", {"a": [1, None]}], "most": None}
CHOSEN = "scorers: [{name: lib/scorers.py@risk, args: {levels: [low, {a: [1, null]}], most: null}}]"
ASKING = DESIGN.replace("- name: capitalization", f"- {{name: capitalization, {CHOSEN}, files: [shared/own.txt], args: {{shots: [1, 2]}}}}")
ASKING += "files: [shared/names.txt]\n"


def commit(folder: Path, run: Git, files: dict[str, str], message: str = "Files") -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    run(folder, "add", "--all", "tasks", "lib", "shared")
    run(folder, "commit", "--quiet", f"--message={message}")


@pytest.fixture
def with_files(lab: Lab, run: Git) -> Lab:
    """The lab, whose task imports a module that imports another one that opens a file."""
    task = (lab.root / "tasks/capitalization.py").read_text() + "\nimport json\nimport helpers\nopen('../data/words.json')\n"
    commit(lab.root, run, {**FILES, "tasks/capitalization.py": task})
    return open_lab(lab.root)


def drafted(lab: Lab, text: str = ASKING) -> design.Draft:
    return design.draft_new(lab, "cap", text.encode(), "d.yaml")


def problems(lab: Lab, text: str) -> list[str]:
    with pytest.raises(DesignError) as caught:
        drafted(lab, text)
    return [problem.at("d.yaml") for problem in caught.value.problems]


def designed(lab: Lab) -> Context:
    design.commit(drafted(lab))
    return load_context(lab, take_snapshot(lab, "cap"))


def test_what_a_task_needs_is_recorded_with_its_digest_and_goes_with_the_jobs(with_files: Lab) -> None:
    context = designed(with_files)
    recorded = context.summary.recorded
    assert recorded.files == {path: hashlib.sha256(text.encode()).hexdigest() for path, text in sorted(FILES.items())}
    assert context.summary.evaluation.tasks[0].scorers[0].args == ARGS
    assert set(FILES) <= set(job_inputs(take_snapshot(with_files, "cap"), context).paths)
    evaluating = inspect_worker.scaffold(context)["experiments/cap/base/eval/capitalization_base.slurm"].decode()
    assert all(f"{digest}  {path}" in evaluating for path, digest in recorded.files.items())
    training = torchtune_worker.scaffold(context)["experiments/cap/rank4/finetune.slurm"].decode()
    assert [path for path in FILES if path in training] == ["shared/names.txt"]
    config = inspect_worker.scaffold(context)["experiments/cap/base/eval/capitalization_base.yaml"].decode()
    assert "../lib/scorers.py@risk" in config


@pytest.mark.parametrize("path", sorted(FILES))
def test_a_file_that_was_changed_on_the_branch_is_refused(with_files: Lab, run: Git, path: str) -> None:
    designed(with_files)
    run(with_files.root, "switch", "--quiet", "exp/cap")
    commit(with_files.root, run, {path: "# other\n"})
    run(with_files.root, "switch", "--quiet", "main")
    with pytest.raises(CkgitError, match=f"{path} is not the file that was designed with") as caught:
        load_context(with_files, take_snapshot(with_files, "cap"))
    assert caught.value.code is Exit.EVIDENCE_MISSING
    run(with_files.root, "switch", "--quiet", "exp/cap")
    run(with_files.root, "rm", "--quiet", path)
    run(with_files.root, "commit", "--quiet", "--message=Away")
    with pytest.raises(CkgitError, match=f"{path} is not there"):
        load_context(with_files, take_snapshot(with_files, "cap"))


@pytest.mark.parametrize("path", sorted(FILES))
def test_a_newer_file_of_the_default_branch_is_told(with_files: Lab, run: Git, tmp_path: Path, path: str) -> None:
    run(tmp_path, "clone", "--quiet", str(with_files.root), "clone")
    commit(with_files.root, run, {path: f"{FILES[path]}\n# newer\n"})
    run(tmp_path / "clone", "fetch", "--quiet")
    told = drafted(open_lab(tmp_path / "clone")).forecast.warnings
    assert any(f"with a newer {path}; this design takes the old one" in text for text in told)


def test_files_that_are_not_there_are_problems_where_they_are_declared_and_warnings_where_they_are_found(with_files: Lab, run: Git) -> None:
    for path in ("shared/names.txt", "shared/own.txt", "lib/scorers.py", "tasks/rubric.txt"):
        run(with_files.root, "rm", "--quiet", path)
    run(with_files.root, "commit", "--quiet", "--message=Away")
    lab = open_lab(with_files.root)
    found = problems(lab, ASKING)
    assert [text.partition(": ")[2].partition(" on branch")[0] for text in found] == [
        "there is no file lib/scorers.py",
        "there is no file shared/own.txt",
        "there is no file shared/names.txt",
    ]
    warned = drafted(lab, DESIGN).forecast.warnings
    assert any("tasks/deeper.py opens tasks/rubric.txt, which is not committed in the lab" in text for text in warned)


def test_a_pointer_in_place_of_a_file_is_refused(with_files: Lab, run: Git) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 5\n"
    commit(with_files.root, run, {"shared/names.txt": pointer})
    [found] = problems(open_lab(with_files.root), ASKING)
    assert "shared/names.txt is a git-lfs pointer" in found


def test_a_lab_of_before_there_were_such_files_is_read_and_written_as_it_was(lab: Lab) -> None:
    design.commit(drafted(lab, DESIGN))
    text = (take_snapshot(lab, "cap").read("experiments/cap/experiment_summary.md") or b"").decode()
    assert "files" not in text
    assert load_context(lab, take_snapshot(lab, "cap")).summary.recorded.files == {}

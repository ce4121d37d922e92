from pathlib import Path

import pytest

from ckgit import __version__
from ckgit.errors import CkgitError, Exit
from ckgit.lab.init import make_lab, plan_lab
from ckgit.lab.lab import open_lab
from tests.lab.helpers import assert_sound, user_state

FILES = {
    ".gitignore",
    "ckgit.toml",
    "data/words_5L.json",
    "experiments/.gitattributes",
    "models/.gitignore",
    "models/README.md",
    "tasks/capitalization.py",
}


def test_a_new_lab(weird_tmp_path, run):
    made = make_lab(weird_tmp_path / "my lab")

    assert set(made.files) == FILES
    lab = open_lab(made.folder)
    assert (lab.default_branch, lab.config.name, lab.cluster().scheduler) == ("main", "my-lab", "local")
    assert set(run(lab.root, "ls-files").splitlines()) == FILES
    assert run(lab.root, "status", "--porcelain", "--ignored") == ""
    assert run(lab.root, "rev-list", "--count", "HEAD") == "1"
    assert_sound(lab.root)


def test_the_configuration_says_the_defaults(tmp_path):
    config = open_lab(make_lab(tmp_path / "lab").folder).config

    assert config == type(config)(name="lab")


def test_work_trees_weights_and_logs_are_treated_as_they_should(tmp_path, run):
    root = make_lab(tmp_path / "lab").folder
    for path in (".ckgit/work/x", "models/tiny/model.safetensors", "models/tiny.yaml"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x")

    assert run(root, "status", "--porcelain", "--untracked-files=all") == "?? models/tiny.yaml"
    attributes = run(root, "check-attr", "text", "diff", "--", "experiments/cap/a/logs/b.eval", "experiments/cap/jobs.json")
    assert attributes.splitlines() == [
        "experiments/cap/a/logs/b.eval: text: unset",
        "experiments/cap/a/logs/b.eval: diff: unset",
        "experiments/cap/jobs.json: text: unset",
        "experiments/cap/jobs.json: diff: unspecified",
    ]


def test_a_second_init_has_nothing_to_do(tmp_path, run):
    root = make_lab(tmp_path / "lab").folder
    run(root, "rm", "--quiet", "tasks/capitalization.py")
    run(root, "commit", "--quiet", "-m", "Not mine")
    before = user_state(root)

    assert make_lab(root).files == {}
    assert user_state(root) == before


@pytest.fixture
def repository(tmp_path, run):
    """A repository with history, and with staged, edited and untracked work."""
    run(tmp_path, "init", "--quiet", "--initial-branch=trunk", "repo")
    root = tmp_path / "repo"
    (root / "tasks").mkdir()
    for path in ("README.md", ".gitignore", "tasks/capitalization.py"):
        (root / path).write_text(f"my {path}\n")
    run(root, "add", "--all")
    run(root, "commit", "--quiet", "-m", "Mine")
    (root / "README.md").write_text("staged\n")
    run(root, "add", "README.md")
    (root / "README.md").write_text("edited\n")
    (root / "untracked.txt").write_text("mine\n")
    return root


WORKFLOWS = {f".github/workflows/experiment-{name}.yml" for name in ("comment", "review", "run")}


def test_a_lab_with_workflows(tmp_path, run):
    root = make_lab(tmp_path / "lab", ci="github").folder

    assert set(run(root, "ls-files").splitlines()) == FILES | WORKFLOWS
    assert run(root, "rev-list", "--count", "HEAD") == "1"
    for path in WORKFLOWS - {".github/workflows/experiment-run.yml"}:  # whose machine has a ckgit
        assert f"]=={__version__}'" in (root / path).read_text()
    assert make_lab(root, ci="github").files == {}


def test_a_lab_gets_the_workflows_that_it_lacks(tmp_path, run):
    root = make_lab(tmp_path / "lab").folder
    mine, other = sorted(WORKFLOWS)[:2]
    for path in (mine, other):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("mine\n")
    run(root, "add", mine)
    run(root, "commit", "--quiet", "-m", "Mine")
    run(root, "rm", "--quiet", "tasks/capitalization.py")
    before = run(root, "status", "--porcelain=v2")

    assert set(plan_lab(root, ci="github").files) == WORKFLOWS - {mine, other}
    made = make_lab(root, ci="github")

    assert set(made.files) == WORKFLOWS - {mine, other}
    assert set(run(root, "diff", "--name-status", "HEAD~1", "HEAD").split()[::2]) == {"A"}
    assert run(root, "status", "--porcelain=v2") == before
    assert (root / mine).read_text() == (root / other).read_text() == "mine\n"
    assert run(root, "log", "-1", "--format=%s") == "Have pull requests of experiments reviewed"
    assert_sound(root)


def test_an_existing_repository_only_gets_what_it_lacks(repository, run):
    tip = run(repository, "rev-parse", "HEAD")
    before = run(repository, "status", "--porcelain=v2")

    made = make_lab(repository)

    assert set(made.files) == FILES - {".gitignore", "tasks/capitalization.py"}
    assert made.adopted
    assert run(repository, "rev-parse", "HEAD~1") == tip
    assert set(run(repository, "diff", "--name-status", "HEAD~1", "HEAD").split()[::2]) == {"A"}
    assert run(repository, "status", "--porcelain=v2") == before
    assert (repository / "README.md").read_text() == "edited\n"
    assert (repository / ".gitignore").read_text() == "my .gitignore\n"
    assert open_lab(repository).default_branch == "trunk"
    assert_sound(repository)


def test_a_repository_whose_other_branch_is_checked_out(repository, run):
    run(repository, "stash", "--quiet", "--include-untracked")
    run(repository, "branch", "main")
    run(repository, "switch", "--quiet", "--create", "feature")
    before = user_state(repository) | {"refs": ""}

    made = make_lab(repository)

    assert made.branch == "main"
    assert user_state(repository) | {"refs": ""} == before


def test_files_that_are_not_tracked_are_left_alone(repository, run):
    (repository / "data").mkdir()
    (repository / "data/words_5L.json").write_text("my words")

    made = make_lab(repository)

    assert "data/words_5L.json" not in made.files
    assert (repository / "data/words_5L.json").read_text() == "my words"
    assert "?? data/" in run(repository, "status", "--porcelain")


def test_a_configuration_that_is_not_committed(repository):
    (repository / "ckgit.toml").write_text('name = "mine"\n')

    with pytest.raises(CkgitError, match=r"ckgit\.toml is there, but not committed"):
        make_lab(repository)


def test_a_repository_without_a_commit_and_a_folder_with_files(tmp_path, run):
    run(tmp_path, "init", "--quiet", "--initial-branch=trunk", "empty")
    (tmp_path / "files").mkdir()
    (tmp_path / "files/mine.txt").write_text("mine")

    assert make_lab(tmp_path / "empty").branch == "trunk"
    make_lab(tmp_path / "files")

    assert run(tmp_path / "empty", "status", "--porcelain") == ""
    assert run(tmp_path / "files", "status", "--porcelain") == "?? mine.txt"
    assert open_lab(tmp_path / "files").default_branch == "main"


def test_a_lab_inside_of_a_lab_is_refused(weird_tmp_path):
    made = make_lab(weird_tmp_path / "outer")
    with pytest.raises(CkgitError, match="lies in the lab") as caught:
        make_lab(made.folder / "inner")
    assert caught.value.code is Exit.USAGE
    assert not (made.folder / "inner").exists()


def test_a_folder_that_cannot_be_made_is_said_in_words():
    with pytest.raises(CkgitError, match="the lab cannot be made here: ") as caught:
        make_lab(Path("/proc/none"))
    assert "Errno" not in str(caught.value)


def test_a_lab_inside_of_another_repository(repository, run):
    made = make_lab(repository / "inner")

    assert open_lab(repository / "inner").root == made.folder
    with pytest.raises(CkgitError, match="is a folder of the repository") as caught:
        make_lab(repository / "tasks")
    assert caught.value.next == f"ckgit init {repository}"


def test_a_bare_repository_and_a_file(tmp_path, run):
    run(tmp_path, "init", "--quiet", "--bare", "bare")
    (tmp_path / "file").write_text("")

    with pytest.raises(CkgitError, match="bare repository"):
        make_lab(tmp_path / "bare")
    with pytest.raises(CkgitError, match="is a file"):
        make_lab(tmp_path / "file")


@pytest.mark.parametrize("missing", ["GIT_AUTHOR_NAME", "GIT_COMMITTER_EMAIL"])
def test_a_user_whom_git_does_not_know(tmp_path, monkeypatch, missing):
    monkeypatch.delenv(missing)

    with pytest.raises(CkgitError, match="does not know who you are") as caught:
        make_lab(tmp_path / "lab")

    assert caught.value.code is Exit.USAGE
    assert not (tmp_path / "lab").exists()


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_COMMITTER_DATE", "no date at all")

    with pytest.raises(CkgitError):
        make_lab(tmp_path / "deep/lab")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("prepare", [["MERGE_HEAD"], ["index.lock"]])
def test_work_under_way_stops_adoption(repository, run, prepare):
    (repository / ".git" / prepare[0]).write_text(run(repository, "rev-parse", "HEAD") + "\n")
    before = user_state(repository)

    with pytest.raises(CkgitError, match="your work is in the way") as caught:
        make_lab(repository)

    assert caught.value.code is Exit.BRANCH_MOVED
    assert user_state(repository) == before


@pytest.mark.parametrize(("folder", "name"), [("läb", "l-b"), ("...", "lab"), ("con", "lab"), ("a b..c", "a-b-c"), ("x" * 100, "x" * 64)])
def test_the_folder_gives_the_lab_its_name(tmp_path, folder, name):
    assert f'name = "{name}"' in plan_lab(tmp_path / folder).files["ckgit.toml"].decode()

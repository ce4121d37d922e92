from dataclasses import replace

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.state import State
from ckgit.lab.experiments import list_experiments
from ckgit.lab.lab import Lab, checked_out_experiment, open_lab
from tests.conftest import CONFIG, make_test_lab
from tests.lab.helpers import design, scaffold


def test_a_lab_opens_from_any_folder_of_any_worktree(weird_tmp_path, run):
    root = make_test_lab(weird_tmp_path / "lab")
    run(root, "worktree", "add", "--quiet", "--detach", str(weird_tmp_path / "other"))

    inside = open_lab(root / "tasks")
    linked = open_lab(weird_tmp_path / "other")

    assert (inside.root, inside.default_branch, inside.config.name) == (root, "main", "test-lab")
    assert linked.root == weird_tmp_path / "other"
    assert linked.home == root
    assert linked.work_root() == inside.work_root() == root / ".ckgit/work"


@pytest.mark.parametrize("init", [["--bare"], None])
def test_what_is_no_checkout_is_no_lab(tmp_path, run, init):
    if init is not None:
        run(tmp_path, "init", "--quiet", *init)

    with pytest.raises(CkgitError, match="not inside a lab") as caught:
        open_lab(tmp_path)

    assert caught.value.code is Exit.USAGE
    assert "ckgit init" in caught.value.next


def test_a_repository_without_a_commit(tmp_path, run):
    run(tmp_path, "init", "--quiet")

    with pytest.raises(CkgitError, match="no commit yet"):
        open_lab(tmp_path)


def test_a_repository_that_is_no_lab(lab_folder, run):
    run(lab_folder, "rm", "--quiet", "ckgit.toml")
    run(lab_folder, "commit", "--quiet", "-m", "No more a lab")

    with pytest.raises(CkgitError, match=r"branch main has no ckgit\.toml"):
        open_lab(lab_folder)


def test_a_clone_and_a_shallow_clone_know_the_default_branch(lab_folder, tmp_path, run):
    run(lab_folder, "branch", "--move", "main", "trunk")
    run(lab_folder, "branch", "main", "HEAD")
    run(tmp_path, "clone", "--quiet", "--branch=trunk", str(lab_folder), "full")
    run(tmp_path, "clone", "--quiet", "--depth=1", f"file://{lab_folder}", "shallow")

    assert open_lab(tmp_path / "full").default_branch == "trunk"
    assert open_lab(tmp_path / "shallow").default_branch == "trunk"


def test_several_branches_need_a_word_of_the_user(lab_folder, run):
    run(lab_folder, "branch", "--move", "main", "trunk")
    assert open_lab(lab_folder).default_branch == "trunk"
    run(lab_folder, "branch", "other")

    with pytest.raises(CkgitError, match="which branch is the default one") as caught:
        open_lab(lab_folder)
    run(lab_folder, *caught.value.next.replace("NAME", "trunk").split()[1:])

    assert open_lab(lab_folder).default_branch == "trunk"


def test_a_sha256_repository(tmp_path, run):
    run(tmp_path, "init", "--quiet", "--object-format=sha256", "--initial-branch=main", "lab")
    lab = open_lab(make_test_lab(tmp_path / "lab"))

    tip = scaffold(lab, design(lab))

    assert len(tip) == 64
    assert [row.state for row in list_experiments(lab)] == [State.SCAFFOLDED]
    run(lab.root, "fsck", "--strict")


def test_the_configuration_of_an_experiments_branch_has_no_force(lab, run):
    design(lab)
    run(lab.root, "switch", "--quiet", "exp/cap")
    (lab.root / "ckgit.toml").write_text(CONFIG.replace("slots = 2", 'slots = 2\nsetup = ["curl evil"]'))
    run(lab.root, "commit", "--quiet", "--all", "-m", "A cluster of my own")

    assert open_lab(lab.root).cluster("local").setup == ()


def test_edits_that_are_not_committed_are_announced(lab, run):
    assert lab.config_warning() is None
    (lab.root / "ckgit.toml").write_text(CONFIG + "# edited\n")
    assert "not in force" in lab.config_warning()

    run(lab.root, "commit", "--quiet", "--all", "-m", "Edited")
    assert open_lab(lab.root).config_warning() is None


def commit_config(root, run, text):
    (root / "ckgit.toml").write_text(text)
    run(root, "commit", "--quiet", "--all", "-m", "Configuration")
    return open_lab(root)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("slot = 2", r"clusters\.local\.slot: no such key; did you mean slots\?"),
        ("slots = 0", r"clusters\.local\.slots: Input should be greater than or equal to 1"),
        ('slots = "2"', r"clusters\.local\.slots: Input should be a valid integer"),
        ("slots = ", "not TOML"),
        ("[signatures]\nrequire = true", r"signatures\.require: no such key; did you mean required\?"),
        ("[signatures]\nrequired = true", r"signatures: allowed_signers must name a file of the default branch"),
        ("[clusters.'a b']", r"clusters.*' ' at position 2 is not allowed"),
    ],
)
def test_a_wrong_key_is_named_with_its_file(lab, run, line, message):
    text = CONFIG.replace("slots = 2\n", "") + line + "\n"

    with pytest.raises(CkgitError, match=message) as caught:
        _ = commit_config(lab.root, run, text).config

    assert caught.value.where == "main:ckgit.toml"


def test_a_default_cluster_that_is_none(lab, run):
    with pytest.raises(CkgitError, match=r"no profile 'della' \(profiles: local\)"):
        _ = commit_config(lab.root, run, CONFIG.replace('"local"', '"della"', 1)).config


def test_the_users_own_clusters_are_laid_over(lab, isolated):
    own = isolated / "config/ckgit/config.toml"
    own.parent.mkdir(parents=True)
    own.write_text('default_cluster = "big"\n[clusters.local]\nslots = 7\n[clusters.big]\nwork_root = "~/scratch"\n')

    lab = open_lab(lab.root)

    assert lab.cluster("local").slots == 7
    assert lab.cluster("local").poll_seconds == 0.05
    assert lab.work_root() == isolated / "scratch"


def test_what_is_the_users_alone_stays_apart_from_what_is_scaffolded(lab, run, isolated):
    text = CONFIG + 'account = "lab"\nsetup = ["module load cuda"]\n'
    own = isolated / "config/ckgit/config.toml"
    own.parent.mkdir(parents=True)
    mine = 'account = "mine"\npartition = "mine"\nmail_type = "ALL"\nsetup = ["source venv"]\ngpu_option = "gres"\n'
    own.write_text(f"[clusters.local]\nslots = 7\n{mine}[clusters.mine]\n{mine}")

    lab = commit_config(lab.root, run, text)

    options = {"account": "mine", "partition": "mine", "mail_type": "ALL"}
    for name, account, setup in (("local", "lab", ("module load cuda",)), ("mine", None, ())):
        cluster = lab.cluster(name)
        assert (cluster.account, cluster.partition, cluster.setup, cluster.gpu_option) == (account, None, setup, "gres")
        assert cluster.own == (options, ("source venv",), str(own))
        assert cluster.with_own_options.account == "mine"
    assert lab.cluster("local").slots == 7


def test_the_users_own_file_may_not_rename_the_lab(lab, isolated):
    own = isolated / "config/ckgit/config.toml"
    own.parent.mkdir(parents=True)
    own.write_text('name = "mine"\n')

    with pytest.raises(CkgitError, match="only clusters and default_cluster") as caught:
        _ = open_lab(lab.root).config

    assert caught.value.where == str(own)


def test_an_unknown_cluster_lists_the_known(lab):
    with pytest.raises(CkgitError, match="'della'") as caught:
        lab.cluster("della")

    assert caught.value.next == "choose one of: local"


def test_experiments_are_listed_with_state_and_event(lab):
    scaffold(lab, design(lab, "b"))
    design(lab, "a")

    rows = list_experiments(lab)

    told = [(row.name, row.state, row.event, row.note) for row in rows]
    assert told == [("a", "designed", "design", ""), ("b", "scaffolded", "scaffold", "")]


def test_a_commit_of_the_users_own_on_top_keeps_the_state(lab, run):
    scaffold(lab, design(lab))
    run(lab.root, "switch", "--quiet", "exp/cap")
    run(lab.root, "commit", "--quiet", "--allow-empty", "-m", "A thought")

    (row,) = list_experiments(lab)

    assert (row.state, row.event) == (State.SCAFFOLDED, None)


def test_a_branch_whose_state_cannot_be_told_says_why(lab, run):
    run(lab.root, "branch", "exp/empty")
    run(lab.root, "switch", "--quiet", "--create", "exp/broken")
    (lab.root / "experiments/broken").mkdir(parents=True)
    (lab.root / "experiments/broken/experiment_summary.md").write_bytes(b"---\nstate: [\n---\n")
    run(lab.root, "add", "--all")
    run(lab.root, "commit", "--quiet", "-m", "Broken")

    rows = {row.name: row for row in list_experiments(lab)}

    assert (rows["empty"].state, rows["empty"].note) == (None, "no experiment_summary.md")
    assert rows["broken"].state is None
    assert "cannot be read" in rows["broken"].note


def test_trailers_of_another_experiment_do_not_count(lab, run):
    tip = scaffold(lab, design(lab, "first"))
    run(lab.root, "branch", "exp/second", tip)

    rows = {row.name: row for row in list_experiments(lab)}

    assert rows["second"].state is None


def test_experiments_of_a_remote_are_listed_as_such(lab, tmp_path, run):
    scaffold(lab, design(lab))
    run(tmp_path, "clone", "--quiet", str(lab.root), "clone")

    (row,) = list_experiments(open_lab(tmp_path / "clone"))

    assert (row.name, row.state, row.note) == ("cap", State.SCAFFOLDED, "only on origin")


def test_the_checked_out_experiment(lab, run):
    design(lab)
    assert checked_out_experiment(lab) is None
    run(lab.root, "switch", "--quiet", "exp/cap")
    assert checked_out_experiment(lab) == "cap"
    run(lab.root, "switch", "--quiet", "--detach")
    assert checked_out_experiment(lab) is None


def test_a_lab_without_experiments(lab):
    assert list_experiments(lab) == []


@pytest.mark.parametrize("toml", [b"<<<<<<< HEAD\n", b"name = 7\n", b""])
def test_where_jobs_were_handed_over_is_told_by_their_ledger_alone(lab: Lab, toml: bytes) -> None:
    ledger = {"cluster": "local", "scheduler": "slurm", "slurm_cluster": "beta", "command_prefix": ["ssh", "login1"]}
    found = replace(lab, toml=toml).cluster_of(ledger)
    assert (found.scheduler, found.slurm_cluster, found.command_prefix) == ("slurm", "beta", ("ssh", "login1"))

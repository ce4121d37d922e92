"""Every test runs with a home, a git configuration and an identity of its own."""

import hashlib
import json
import os
import signal
import subprocess
from pathlib import Path

import hypothesis
import pytest

# A suite that is started in the background, or by nohup, inherits ignored signals, and so would every program that a test signals.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
hypothesis.settings.register_profile("untimed", deadline=None)  # a machine may be busy
hypothesis.settings.load_profile("untimed")

CARD = """\
schema_version: 1
name: tiny
family: llama
model_type: llama
architecture:
  vocab_size: 259
  hidden_size: 64
  intermediate_size: 128
  num_hidden_layers: 2
  num_attention_heads: 4
  num_key_value_heads: 2
  head_dim: 16
  max_position_embeddings: 128
  rms_norm_eps: 1.0e-05
  rope_theta: 10000.0
  tie_word_embeddings: true
parameters: 100000
dtype: float32
template:
  sha256: {digest}
  uses_date: false
end_of_turn: [258]
checkpoint_files: [model.safetensors]
files:
  model.safetensors:
    sha256: {digest}
    bytes: 5
"""
TASK = '''\
"""A task file; nothing in unit tests executes it."""

from inspect_ai import Task, task
from inspect_ai.dataset import json_dataset
from inspect_ai.scorer import match
from inspect_ai.solver import generate


@task
def capitalization(**arguments):
    return Task(dataset=json_dataset("../data/words.json"), solver=generate(), scorer=match(location="exact", ignore_case=False))
'''
WORDS = {
    "train": [{"input": word, "output": word.upper()} for word in ("apple", "bread", "chair", "dress", "eagle", "flame", "grape", "house")],
    "test": [{"input": word, "output": word.upper()} for word in ("knife", "lemon")],
}
CONFIG = """\
schema_version = 1
name = "test-lab"
default_cluster = "local"

[clusters.local]
scheduler = "local"
slots = 2
poll_seconds = 0.05
grace_seconds = 0.3
"""


class ATestChangedTheUsersGitConfiguration(Exception):  # noqa: N818 - its name says what to look for
    pass


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where files are given to several workers, those with slow tests go first: at the end no worker is alone with them."""
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def _drawn_once():
    """Pictures of equal results are drawn once (see `tests.drawing`)."""
    from ckgit.orchestrators.analyze import files
    from tests.drawing import drawn_once

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "pictures_of", drawn_once)
        yield


@pytest.fixture(autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """Nothing of the machine's user reaches a test, and no test reaches the user's configuration."""
    real = [Path(os.path.expanduser("~")) / name for name in (".gitconfig", ".config/git/config", ".config/ckgit/config.toml")]  # noqa: PTH111 - the real home, before it is replaced
    before = [file.read_bytes() if file.is_file() else None for file in real]
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith(("GIT_", "CKGIT_", "SLURM_", "SBATCH_", "INSPECT_"))]:
        monkeypatch.delenv(name)
    settings = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_STATE_HOME": str(home / "state"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "Ada Author",
        "GIT_AUTHOR_EMAIL": "ada@example.org",
        "GIT_COMMITTER_NAME": "Cleo Committer",
        "GIT_COMMITTER_EMAIL": "cleo@example.org",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    yield home
    if [file.read_bytes() if file.is_file() else None for file in real] != before:
        raise ATestChangedTheUsersGitConfiguration


@pytest.fixture(params=["plain", "spaces and 'quotes'", 'ünïcode "$(x)'], ids=["plain", "spaces", "unicode"])
def weird_tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder, once with an ordinary name and then with names that break careless code."""
    folder = tmp_path / request.param
    folder.mkdir()
    return folder


def run_git(cwd: Path, *args: str, stdin: str | None = None) -> str:
    """Git as a user of the lab would run it."""
    done = subprocess.run(["git", *args], cwd=cwd, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"git {' '.join(args)}: {done.stderr}"
    return done.stdout.rstrip("\n")


@pytest.fixture
def run():
    """`run(folder, "status", …)`: git as a user would run it."""
    return run_git


def make_test_lab(folder: Path) -> Path:
    """A lab on branch main with one commit: ckgit.toml, data, a task, a model card (whose folder exists, with a tiny fake weight file)."""
    weights = b"fakes"
    files = {
        "ckgit.toml": CONFIG,
        ".gitignore": ".ckgit/\n/models/*/\n",
        ".gitattributes": "*.eval binary\nexperiments/** -text\n",
        "tasks/capitalization.py": TASK,
        "data/words.json": json.dumps(WORDS, indent=1) + "\n",
        "models/tiny.yaml": CARD.format(digest=hashlib.sha256(weights).hexdigest()),
    }
    folder.mkdir(parents=True, exist_ok=True)
    run_git(folder, "init", "--quiet", "--initial-branch=main")
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "models/tiny").mkdir()
    (folder / "models/tiny/model.safetensors").write_bytes(weights)
    run_git(folder, "add", "--all")
    run_git(folder, "commit", "--quiet", "--message=A lab")
    return folder


@pytest.fixture
def lab_folder(tmp_path: Path) -> Path:
    """Top of a fresh lab (see make_test_lab)."""
    return make_test_lab(tmp_path / "lab")


@pytest.fixture
def lab(lab_folder: Path):
    """A fresh lab, opened. Its model card `tiny` was written by hand; nothing in it needs torch."""
    from ckgit.lab.lab import open_lab

    return open_lab(lab_folder)


DESIGN = """\
schema_version: 1
experiment:
  name: cap
  question: Does rank matter?
  date: 2026-11-23
models: [tiny]
data:
  words: {path: data/words.json}
controls: {device: cpu, dtype: fp32}
variables:
  lora_rank: [4, 8]
runs:
  - {name: base, type: control}
evaluation:
  tasks:
    - {name: capitalization}
"""


@pytest.fixture
def designed(lab):
    """A snapshot of experiment `cap` of the lab, just designed: two ranks and the base model, one task, nothing recorded of its inputs."""
    from ckgit.experiment.lifecycle import Event
    from ckgit.lab.commit import CommitPlan, make_commit
    from ckgit.lab.snapshot.take import take_snapshot
    from ckgit.lab.summary.file import SummaryFile

    path = "experiments/cap/experiment_summary.md"
    summary = SummaryFile.from_design(DESIGN.encode(), path)
    make_commit(
        lab,
        CommitPlan(
            name="cap", event=Event.DESIGN, parent=None, files={path: summary.dump()}, design_digest=summary.summary.digest, body=""
        ),
    )
    return take_snapshot(lab, "cap")

"""`pip install ckgit` is light: what it can do without torch and inspect-ai, and what it says where it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from bench.labs import DESIGN, MODEL, bench_card
from ckgit.lab.models.card_file import dump_card

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "torchtune", "torchao", "transformers", "inspect_ai", "datasets", "matplotlib", "numpy")
# What `ckgit status` has no time for, beside the frameworks.
SLOW = (*HEAVY, "ruamel", "transitions", "pydantic", "importlib.metadata", "asyncio")


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that has only `pip install ckgit`."""
    folder = tmp_path_factory.mktemp("light")
    venv.create(folder)
    subprocess.run([*pip(folder / "bin"), "install", "--quiet", ROOT], check=True, stdin=subprocess.DEVNULL)
    return folder / "bin"


def pip(binaries: Path) -> list[str | Path]:
    """Our own pip at work in another environment, which so need not be given one."""
    return [sys.executable, "-m", "pip", "--python", binaries / "python", "--disable-pip-version-check"]


@pytest.fixture
def lab(light: Path, tmp_path: Path) -> Path:
    """A lab with a model card and a designed experiment, made by the light installation."""
    lab = tmp_path / "lab"
    ckgit(light, tmp_path, "init", str(lab), "--ci", "github")
    (lab / "models").mkdir(exist_ok=True)
    (lab / "models" / f"{MODEL}.yaml").write_bytes(dump_card(bench_card()))
    subprocess.run(["git", "add", "models"], cwd=lab, check=True)
    subprocess.run(["git", "commit", "--quiet", "-m", "A model card"], cwd=lab, check=True)
    (tmp_path / "design.yaml").write_text(DESIGN.format(name="light", model=MODEL, epochs=1, variables="{lora_rank: [4, 8]}"))
    ckgit(light, lab, "validate", "../design.yaml")
    ckgit(light, lab, "design", "light", "--from", "../design.yaml")
    return lab


def ckgit(binaries: Path, cwd: Path, *words: str, code: int = 0) -> str:
    """What the command prints to both streams; its exit code must be `code`."""
    environment = {**os.environ, "PATH": f"{binaries}:/usr/bin:/bin"}
    done = subprocess.run([binaries / "ckgit", *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_design_scaffold_and_review_need_no_framework(light: Path, lab: Path) -> None:
    assert (lab / ".github/workflows/experiment-review.yml").exists()  # templates are in the wheel
    ckgit(light, lab, "schema", "--write", "../schemas")
    assert {path.name: path.read_bytes() for path in (lab.parent / "schemas").iterdir()} == {
        path.name: path.read_bytes() for path in (ROOT / "schemas").iterdir()
    }
    listed = subprocess.run([*pip(light), "list", "--format=freeze"], capture_output=True, text=True, check=True).stdout.lower()
    assert not [name for name in HEAVY if f"{name.replace('_', '-')}==" in listed]
    ckgit(light, lab, "scaffold-experiment", "light")
    assert json.loads(ckgit(light, lab, "status", "light", "--json"))["lifecycle_state"] == "scaffolded"
    assert "light" in ckgit(light, lab, "list")
    assert "rank8" in ckgit(light, lab, "show", "light")
    assert "scaffold" in ckgit(light, lab, "log", "light")


@pytest.mark.slow
def test_what_needs_a_framework_says_which_extra_to_install(light: Path, lab: Path) -> None:
    refused = ckgit(light, lab, "quickstart", "elsewhere", code=6)
    assert "torch and torchtune and inspect_ai are not installed" in refused
    assert 'pip install "ckgit[run]"' in refused
    assert not (lab / "elsewhere").exists()
    ckgit(light, lab, "scaffold-experiment", "light")
    (lab / "models" / MODEL).mkdir()
    for file in bench_card().files:
        (lab / "models" / MODEL / file).write_text("x")
    assert 'pip install "ckgit[run]"' in ckgit(light, lab, "advance", "light", code=6)
    assert "submit" not in ckgit(light, lab, "log", "light")
    assert json.loads(ckgit(light, lab, "status", "light", "--json"))["lifecycle_state"] == "scaffolded"


@pytest.mark.slow
def test_status_imports_nothing_slow(lab: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "ckgit", "-C", str(lab), "status", "light"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "ckgit.lab.snapshot" in imported
    assert sorted(name for name in imported if name.startswith(tuple(f"{slow}." for slow in SLOW)) or name in SLOW) == []

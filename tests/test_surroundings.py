"""The surroundings of a user change nothing of what is measured: two labs, one in a hostile environment, come to the same bytes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.whole import shell, tiny_llama

ROWS = ["apple", "bread", "chair", "dress", "eagle", "flame", "grape", "house"]
DATA = {"train": [{"input": word, "output": word.upper()} for word in ROWS * 3], "test": [{"input": w, "output": w} for w in ROWS]}
DESIGN = """\
schema_version: 1
experiment:
  name: first
  question: Does it still repeat words?
  date: 2026-11-23
  claims:
    - {metric: accuracy, task: capitalization, left: base, right: rank4, direction: greater}
models: [tiny_llama]
data:
  words: {path: data/small.json}
controls: {method: lora, epochs: 1, batch_size: 4, lr: 0.003, seed: 0, device: cpu, dtype: fp32}
variables: {lora_rank: [4]}
runs:
  - {name: base, type: control}
evaluation:
  tasks: [{name: capitalization, data: words, split: test}]
  scorers: [{name: match, args: {location: exact}}]
  generation: {max_tokens: 12, temperature: 1.3, seed: 3}
compute:
  training: {cpus_per_task: 1}
  evaluation: {cpus_per_task: 1}
"""
SETTINGS = {
    "INSPECT_EVAL_EPOCHS": "4",
    "INSPECT_EVAL_EPOCHS_REDUCER": "max",
    "INSPECT_EVAL_LIMIT": "3",
    "INSPECT_EVAL_MAX_RETRIES": "5",
    "INSPECT_EVAL_TEMPERATURE": "0.1",
    "INSPECT_EVAL_TOP_P": "0.2",
    "INSPECT_EVAL_MESSAGE_LIMIT": "1",
    "INSPECT_EVAL_SOLVER": "nowhere/none",
    "INSPECT_EVAL_SAMPLE_SHUFFLE": "7",
    "INSPECT_EVAL_NO_SCORE": "true",
    "INSPECT_EVAL_TAGS": "mine",
    "INSPECT_LOG_DIR": "elsewhere",
    "INSPECT_LOG_FORMAT": "json",
    "INSPECT_ASYNC_BACKEND": "nonsense",
    "INSPECT_REQUIRED_HOOKS": "nowhere/none",
}
OF_TOOLS = {
    "HF_HOME": "/nowhere",
    "HF_HUB_OFFLINE": "0",
    "HF_DATASETS_CACHE": "/nowhere",
    "TRANSFORMERS_CACHE": "/nowhere",
    "TORCH_LOGS": "nonsense",
    "TORCH_DEFAULT_DTYPE": "bf16",
    "ATEN_CPU_CAPABILITY": "default",
    "PYTORCH_ENABLE_MPS_FALLBACK": "1",
    "OMP_NUM_THREADS": "2",
    "MKL_NUM_THREADS": "2",
    "MKL_CBWR": "COMPATIBLE",
    "KMP_AFFINITY": "nonsense",
    "WANDB_MODE": "online",
    "TUNE_LOG_LEVEL": "nonsense",
    "MPLBACKEND": "module://of.a.notebook",
    "PYTHONHASHSEED": "77",
    "PYTHONSTARTUP": "/nowhere",
    "PYTHONOPTIMIZE": "2",
    "PYTHONWARNINGS": "error::UserWarning:torchtune",
    "LANG": "de_DE.UTF-8",
    "LC_ALL": "C",
    "TZ": "Asia/Kolkata",
    "TERM_PROGRAM": "vscode",
    "BASH_ENV": "/nowhere",
    "CDPATH": "/",
    "BASH_FUNC_date%%": "() { echo yesterday; }",
    "CKGIT_WHATEVER": "1",
}


class Lab:
    """A lab, its user's home and shell, and what came out."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder / "lab", folder / "home"
        self.home.mkdir(parents=True)
        names = {f"GIT_{who}_{what}": f"{who}@x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        self.environment = {**shell(self.home), **names}

    def run(self, *words: str) -> str:
        done = subprocess.run(
            words, cwd=self.folder.parent, env=self.environment, capture_output=True, errors="backslashreplace", check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ckgit(self, *words: str) -> str:
        return self.run("ckgit", "-C", str(self.folder), *words)

    def make(self) -> None:
        self.run("ckgit", "init", str(self.folder), "--slots", "1")
        self.ckgit("models", "add", "tiny_llama", str(tiny_llama()))
        (self.folder / "data/small.json").write_text(json.dumps(DATA))
        (self.folder.parent / "design.yaml").write_text(DESIGN)
        self.run("git", "-C", str(self.folder), "add", "data")
        self.run("git", "-C", str(self.folder), "commit", "--quiet", "--message=Words")

    def measure(self) -> None:
        self.ckgit("design", "first", "--from", str(self.folder.parent / "design.yaml"))
        self.ckgit("advance", "first", "--to", "analyzed")

    def committed(self, path: str) -> str:
        return self.run("git", "-C", str(self.folder), "show", f"exp/first:experiments/first/{path}")

    def neutral(self, text: str) -> str:
        """Text without what differs from one run of the same to the next: commits, folders, times."""
        for commit in self.run("git", "-C", str(self.folder), "log", "--all", "--format=%H").split():
            text = text.replace(commit, "COMMIT").replace(commit[:12], "COMMIT")
        times = r"## Cost.*?(?=## (?:What|Same|Run))|## Attempts.*?(?=## How)|[\d.e+]+ (?:steps|tokens)/s"
        text = re.sub(times, "", text.replace(str(self.folder.parent), "FOLDER"), flags=re.DOTALL)
        return re.sub(r"\b(\d+ s|\d+:\d\d(:\d\d)?)(?= )|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)


def make_hostile(lab: Lab) -> Path:
    """Surround a lab with settings; returns a file to which each Python writes that takes them and is a job's."""
    told = lab.home / "told"
    site = lab.home / "site"
    of_user = lab.home / f".local/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    for folder in (site, of_user):
        folder.mkdir(parents=True)
        code = f"import os\nif 'CKGIT_JOB' in os.environ:\n    open({str(told)!r}, 'a').write('{folder.name}')\n"
        (folder / "sitecustomize.py").write_text(code)
        (folder / "usercustomize.py").write_text(code)
    (site / "torchtune.py").write_text("raise ImportError('of the user')\n")
    dotenv = "".join(f"{name}={value}\n" for name, value in SETTINGS.items())
    for folder in (lab.folder, lab.folder.parent, lab.home):
        (folder / ".env").write_text(dotenv)
    drawing = lab.home / ".config/matplotlib"
    drawing.mkdir(parents=True)
    (drawing / "matplotlibrc").write_text("font.size: 30\nsvg.fonttype: none\nsavefig.bbox: tight\nlines.linewidth: 9\n")
    paths = {"PYTHONPATH": str(site), "MPLCONFIGDIR": str(drawing), "XDG_CONFIG_HOME": str(lab.home / ".config")}
    lab.environment = {**lab.environment, **SETTINGS, **OF_TOOLS, **paths}
    return told


def without_times(results: str) -> Any:
    """Results without what the same measurement has anew each time: how long it took, its log's own name for it, and its jobs' tokens."""
    anew = {"seconds", "log_sha256", "accounting", "starts", "token"}
    return json.loads(results, object_hook=lambda found: {name: value for name, value in found.items() if name not in anew})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_hostile_environment_changes_no_answer(tmp_path: Path) -> None:
    clean, hostile = Lab(tmp_path / "clean"), Lab(tmp_path / "hostile")
    for lab in (clean, hostile):
        lab.make()
    told = make_hostile(hostile)
    with ThreadPoolExecutor() as both:
        list(both.map(Lab.measure, (clean, hostile)))
    assert not told.exists()
    found = [without_times(lab.committed("analysis/results.json")) for lab in (clean, hostile)]
    assert found[0] == found[1]
    (accuracy,) = found[0]["runs"][0]["cells"][0]["metrics"]
    assert (accuracy["name"], accuracy["samples"], 0 < accuracy["value"] < 1) == ("accuracy", 8, True)
    made = ("finetune.yaml", "finetune.slurm", "tokens.json", "versions.json", "checkpoints.json", "eval/capitalization_epoch0.yaml")
    for path in (*(f"rank4/{name}" for name in made), "analysis/loss.svg", "analysis/scores.png", "analysis/design.pdf"):
        assert clean.committed(path) == hostile.committed(path), path
    report = [lab.neutral(lab.committed("analysis/report.md")) for lab in (clean, hostile)]
    assert report[0] == report[1]
    shown = [lab.neutral(lab.ckgit("show", "first")).partition("\nstage ")[0] for lab in (clean, hostile)]
    assert shown[0] == shown[1]
    status = [lab.neutral(lab.ckgit("status", "first", "--json")) for lab in (clean, hostile)]
    assert status[0] == status[1]

"""A workflow's jobs as a runner of GitHub's would execute them: its `run:` steps by bash, with the environment that GitHub documents."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from ckgit.lab.init import workflows
from tests.forges.github.api import REPOSITORY, TOKEN, GitHub

TEXTS = {Path(path).stem: content.decode() for path, content in workflows("github").items()}
WORKFLOWS: Mapping[str, Any] = {name: YAML(typ="safe").load(text) for name, text in TEXTS.items()}
SERVER = "bin-of-the-server"
CKGIT = f'#!/bin/sh\nexec "{sys.executable}" -m ckgit "$@"\n'
# Stands for Python where it only installs: notes what, and puts ckgit there.
PIP = """#!/bin/sh
echo "$@" >>'{log}'
cat >'{ckgit}' <<'END'
""" + CKGIT + """END
chmod +x '{ckgit}'
"""
_NAME = re.compile(r"'[^']*'|[A-Za-z_][\w.-]*")
_FUNCTIONS = {
    "startsWith": lambda text, start: str(text or "").lower().startswith(start.lower()),
    "cancelled": lambda: False,
}


class Step(NamedTuple):
    """A step that was executed."""

    name: str
    code: int
    out: str
    err: str


class Ended(NamedTuple):
    """A job that has ended."""

    steps: list[Step]
    artifacts: Mapping[str, bytes]
    summary: str

    @property
    def code(self) -> int:
        return next((step.code for step in self.steps if step.code), 0)

    @property
    def names(self) -> list[str]:
        return [step.name for step in self.steps]


class Runner:
    """A machine that takes jobs. One of GitHub's own has no ckgit before a job installs it."""

    def __init__(self, folder: Path, github: GitHub, origin: Path, *, hosted: bool, lab: Path | None = None) -> None:
        self.folder, self.github, self.origin, self.hosted = folder, github, origin, hosted
        self.installed: list[str] = []  # what pip was asked for
        self.bin, self.temp, self.workspace = (folder / name for name in ("bin", "temp", "workspace"))
        for each in (self.bin, self.temp, self.workspace):
            each.mkdir(parents=True)
        self._lab = {"CKGIT_LAB": str(lab)} if lab else {}
        if hosted:
            program(self.bin / "python", PIP.format(log=folder / "pip", ckgit=self.bin / "ckgit"))
        else:
            program(self.bin / "ckgit", CKGIT)

    def job(self, workflow: str, job: str, payload: dict[str, Any], kind: str, **environment: str) -> Ended | None:
        """Execute a job; None where its `if` does not hold.

        Args:
            payload: the event.
            kind: its name.
            environment: what the machine has besides.
        """
        whole = WORKFLOWS[workflow]
        wanted = whole["jobs"][job]
        head = payload.get("pull_request", {}).get("head", {}).get("ref", "")
        github = {"event": payload, "token": TOKEN, "repository": REPOSITORY, "head_ref": head, "workspace": str(self.workspace)}
        context = {"github": github, "runner": {"temp": str(self.temp)}, "steps": {}}
        if not evaluate(wanted.get("if", "'always'"), context):
            return None
        hosted = wanted["runs-on"] == "ubuntu-latest"
        assert hosted or wanted["runs-on"] == ["self-hosted", "slurm"]
        assert hosted is self.hosted, "a job is on the wrong kind of machine"
        self.github.permissions = wanted["permissions"] if "permissions" in wanted else whole["permissions"]
        event = self.folder / "event.json"
        event.write_text(json.dumps(payload))
        given = {**self._environment(event, kind), **environment}
        given |= {name: filled(value, context) for name, value in {**whole.get("env", {}), **wanted.get("env", {})}.items()}
        return self._steps(wanted["steps"], context, given)

    def _environment(self, event: Path, kind: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name.startswith(("GIT_", "XDG_", "PYTHON", "SLURM_", "LD_"))}
        return {
            **kept,
            "PATH": ":".join([str(self.bin), *(place for place in os.environ["PATH"].split(":") if Path(place).name != SERVER)]),
            "HOME": os.environ["HOME"],
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.github.url,
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_EVENT_NAME": kind,
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_TEMP": str(self.temp),
            **self._lab,
        }

    def _steps(self, steps: list[dict[str, Any]], context: dict[str, Any], given: dict[str, str]) -> Ended:
        done: list[Step] = []
        artifacts: dict[str, bytes] = {}
        summary = self.temp / "summary.md"
        summary.write_text("")
        for number, step in enumerate(steps):
            failed = any(each.code for each in done)
            condition = str(step.get("if", "'success'"))
            if (failed and "cancelled()" not in condition) or not evaluate(condition.removeprefix("${{").removesuffix("}}"), context):
                continue
            if "uses" in step:
                wanted = {key: filled(value, context) for key, value in step.get("with", {}).items()}
                self._use(step["uses"].partition("@")[0], wanted, artifacts)
                continue
            files = {name: self.temp / f"{name}-{number}" for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH")}
            for file in files.values():
                file.write_text("")
            own = {name: filled(value, context) for name, value in step.get("env", {}).items()}
            script = self.temp / f"step-{number}.sh"
            script.write_text(step["run"])
            assert "${{" not in step["run"]
            environment = {**given, **own, "GITHUB_STEP_SUMMARY": str(summary), **{name: str(file) for name, file in files.items()}}
            ran = bash(script, self.workspace, environment)
            done.append(Step(step["name"], ran.returncode, ran.stdout, ran.stderr))
            given |= settings(files["GITHUB_ENV"])
            if "id" in step:
                context["steps"][step["id"]] = {"outputs": settings(files["GITHUB_OUTPUT"])}
        if (asked := self.folder / "pip").exists():
            self.installed = asked.read_text().splitlines()
        return Ended(done, artifacts, summary.read_text())

    def _use(self, action: str, given: Mapping[str, str], artifacts: dict[str, bytes]) -> None:
        """What the few actions do that the workflows use."""
        if action == "actions/checkout":
            assert (given["persist-credentials"], given["fetch-depth"]) == ("False", "0")
            clone = ["git", "clone", "--quiet", "--branch", given["ref"], str(self.origin), str(self.workspace)]
            subprocess.run(clone, check=True)
        elif action == "actions/upload-artifact":
            found = [file for line in given["path"].splitlines() if (file := Path(line)).is_file()]
            made = io.BytesIO()
            with zipfile.ZipFile(made, "w") as archive:
                for file in found:
                    archive.write(file, file.name)
            if found:
                artifacts[given["name"]] = made.getvalue()
        else:
            assert action == "actions/setup-python", action


def bash(script: Path, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a script as GitHub does where the shell is said to be bash."""
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]
    options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    return subprocess.run(command, cwd=folder, env=environment, check=False, **options)


def program(file: Path, text: str) -> None:
    """Put a program there."""
    file.write_text(text)
    file.chmod(0o755)


def settings(file: Path) -> dict[str, str]:
    """What a step has written for those after it."""
    lines = file.read_text().splitlines()
    assert all("=" in line for line in lines), lines
    return dict(line.split("=", 1) for line in lines)


def filled(value: Any, context: Mapping[str, Any]) -> str:
    """A value with its expressions evaluated."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(evaluate(found[1], context) or ""), str(value))


def evaluate(expression: str, context: Mapping[str, Any]) -> Any:
    """An expression of GitHub's, as far as ours go."""

    def of(found: re.Match[str]) -> str:
        word = found[0]
        if word.startswith("'") or word in _FUNCTIONS:
            return word
        value: Any = context
        for part in word.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return repr("" if value is None else value)  # what is not there is equal to an empty text

    text = _NAME.sub(of, " ".join(expression.split()).replace("!=", "\0"))
    text = text.replace("&&", " and ").replace("||", " or ").replace("!", " not ").replace("\0", "!=")
    return eval(text.strip(), {"__builtins__": {}}, _FUNCTIONS)  # noqa: S307 - of our own workflows

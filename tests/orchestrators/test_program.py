"""A program that knows `ckgit --help` and `schemas/`, and nothing else, takes an experiment from a question to its next design."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.orchestrators.bench import Bench

jsonschema = pytest.importorskip("jsonschema")  # comes with inspect-ai
SCHEMAS = {file.stem: json.loads(file.read_text()) for file in (Path(__file__).parents[2] / "schemas").glob("*-document.json")}
QUESTION = """\
experiment: {question: Does a higher rank help?}
tools: {preparation: tiny-trainer, evaluation: tiny-evaluator}
models: [tiny]
data:
  words: {path: data/words.json}
variables:
  lora_rank: [4, 8]
evaluation:
  tasks:
    - {name: capitalization}
"""
MOST = 20  # commands to the report


class Answer(NamedTuple):
    """What a command said to a program."""

    code: int
    document: dict[str, Any]


class Program:
    """Runs the commands that documents name."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.known = set(re.findall(r"^  ([a-z][a-z-]+)  ", bench.ckgit("--help").stdout, re.MULTILINE))
        self.ran: list[str] = []

    def run(self, *words: str) -> Answer:
        """A command, with its document held against the schemas: one of them describes it."""
        assert words[0] in self.known
        self.ran.append(shlex.join(words))
        done = self.bench.ckgit(*words, "--json", check=False)
        document = json.loads(done.stdout or done.stderr)
        assert any(describes(schema, document) for schema in SCHEMAS.values()), document
        return Answer(done.returncode, document)

    def to_the_report(self, answer: Answer) -> None:
        """Run the first command of `next`, or the one after it where that changed nothing, until the experiment is analyzed."""
        for _ in range(MOST):
            if answer.document["lifecycle_state"] == "analyzed":
                return
            first, *others = [shlex.split(command)[1:] for command in answer.document["next"]]
            if first[0] == "why":
                self.mend(self.run(*first))
                first = others[0]
            answer = self.run(*first)
        pytest.fail(f"no report after {self.ran}")

    def mend(self, why: Answer) -> None:
        """What a person would do about jobs that failed."""
        for job in why.document["jobs"]:
            self.bench.mend(job["job"].replace("/", "-"))


def describes(schema: dict[str, Any], document: dict[str, Any]) -> bool:
    try:
        jsonschema.validate(document, schema)
    except jsonschema.ValidationError:
        return False
    return True


def test_from_a_question_to_the_next_design(bare_bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "question.yaml").write_text(QUESTION)
    bare_bench.fail("rank4-finetune")
    program = Program(bare_bench)
    answer = program.run("design", "ranks", "--from", str(tmp_path / "question.yaml"))
    assert answer.document["estimate"]
    program.to_the_report(answer)
    shown = program.run("show", "ranks").document
    assert shown["report"].endswith("analysis/report.md")
    ranks = [int(run["run"].removeprefix("rank")) for run in shown["runs"]]
    assert sorted(ranks) == [4, 8]
    answer = program.run("design", "ranks2", "--like", "ranks", "--set", f"variables.lora_rank=[{max(ranks)}, {2 * max(ranks)}]")
    assert (answer.code, answer.document["lifecycle_state"], answer.document["run_count"]) == (0, "designed", 2)
    assert "why ranks" in program.ran
    assert any(command.startswith("retry ranks") for command in program.ran)
    missing = program.run("show", "nothing")
    assert (missing.code, missing.document["error"]["code"]) == (2, 2)

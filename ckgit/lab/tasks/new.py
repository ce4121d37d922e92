"""A new task of the lab from a template: a whole task file, a test that runs it on a mock model, and a page of what it measures."""

from __future__ import annotations

import importlib.util
import keyword
import sys
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.formats.rows import PLACEHOLDER
from ckgit.lab.lab import Lab

# What a task of each template measures, in a clause.
TEMPLATES: Mapping[str, str] = {
    "match": "the answer must be the row's output",
    "multiple-choice": "the answer must be one of a few labels; with their probabilities, and how well these hold",
    "numeric": "how far the number in the answer is from the row's output",
    "judged": "free text that another model judges",
    "code": "code that is run in a sandbox and must pass the row's tests",
}
LABELLED = "multiple-choice"
FOLDER = "tasks"
_NAME, _DATA = "my_task", "data/my_data.json"  # as the templates have them
# What a design needs beside the task's name.
_IN_DESIGN = {
    "multiple-choice": ", generation: {max_tokens: 5}",
    "numeric": ", generation: {max_tokens: 20}",
    "judged": ", args: {judge: openai/gpt-5-mini}",
    "code": ", generation: {max_tokens: 512}",
}

# What a first try needs, where the task's own defaults ask for more than most machines have.
_TO_TRY = {"judged": " --arg judge=mockllm/model", "code": " --arg sandbox=local"}


class TaskFacts(NamedTuple):
    """What a task asks, as far as it is known when it is written."""

    data: str = _DATA  # path in the lab
    split: str = "test"
    prompt: str = PLACEHOLDER
    system_prompt: str = ""
    input_column: str = "input"
    output_column: str = "output"
    labels: Sequence[str] = ()


class NewTask(NamedTuple):
    """A task that is to be written."""

    name: str
    files: Mapping[str, bytes]  # by path in the lab
    in_design: str  # an item of a design's `evaluation.tasks`
    to_try: str  # options of `ckgit task check`


def plan_task(name: str, template: str, facts: TaskFacts) -> NewTask:
    """The files of a task. Nothing is written.

    Raises:
        CkgitError: USAGE, it cannot have that name, or its labels are too few.
    """
    _refuse_name(name)
    if template == LABELLED and facts.labels and len(set(facts.labels)) < 2:  # noqa: PLR2004 - a choice
        raise _refused("a choice needs two labels at least", f"ckgit task new {name} --template multiple-choice --label A --label B")
    top = resources.files("ckgit.lab") / "templates" / FOLDER / template.replace("-", "_")
    paths = {f"{name}.py": f"{_NAME}.py", f"test_{name}.py": f"test_{_NAME}.py", f"{name}.md": f"{_NAME}.md"}
    texts = {path: (top / source).read_text(encoding="utf-8") for path, source in paths.items()}
    files = {f"{FOLDER}/{path}": _filled(text, name, facts, path).encode() for path, text in texts.items()}
    return NewTask(name, files, f"{{name: {name}{_IN_DESIGN.get(template, '')}}}", _TO_TRY.get(template, ""))


def write_task(lab: Lab, new: NewTask) -> None:
    """Write the files into the checkout; nothing is committed.

    Raises:
        CkgitError: USAGE, one of them is there; COMMAND_FAILED, they cannot be written.
    """
    refuse_existing(lab, new)
    try:
        for path, content in new.files.items():
            (lab.root / path).parent.mkdir(parents=True, exist_ok=True)
            (lab.root / path).write_bytes(content)
    except OSError as error:
        state = "some of its files may be there"
        what = f"the task cannot be written: {error.strerror}"
        raise CkgitError(what, code=Exit.COMMAND_FAILED, where=str(lab.root / FOLDER), state=state, next="mend this") from error


def refuse_existing(lab: Lab, new: NewTask) -> None:
    """Raise where a file of a new task is there.

    Raises:
        CkgitError: USAGE.
    """
    if there := [path for path in new.files if (lab.root / path).exists() or (lab.root / path).is_symlink()]:
        raise _refused(f"{' and '.join(there)} exist already", "choose another name, or move them away")


def _filled(text: str, name: str, facts: TaskFacts, path: str) -> str:
    text = text.replace(_NAME, name)
    if path.startswith("test_"):
        return text  # it has rows of its own
    given = {
        _DATA: facts.data,
        'split: str = "test"': f"split: str = {_literal(facts.split)}",
        'prompt: str = "{input}"': f"prompt: str = {_literal(facts.prompt)}",
        'system_prompt: str = ""': f"system_prompt: str = {_literal(facts.system_prompt)}",
        'input_column: str = "input"': f"input_column: str = {_literal(facts.input_column)}",
        'output_column: str = "output"': f"output_column: str = {_literal(facts.output_column)}",
        "split `test`": f"split `{facts.split}`",
    }
    if facts.labels:
        given['LABELS = ("A", "B")'] = f"LABELS = ({', '.join(map(_literal, facts.labels))})"
    for old, new in given.items():
        text = text.replace(old, new)
    return text


def _literal(text: str) -> str:
    """A text as Python writes it, in double quotes where it has none itself."""
    quoted = repr(f"'{text}")
    return f'"{quoted[2:]}' if quoted.startswith('"') else repr(text)


def _refuse_name(name: str) -> None:
    why = ""
    if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name) or name.startswith("_"):
        why = "it names a function, so it has letters, digits and _ only, and begins with a letter"
    elif name in sys.stdlib_module_names or (importlib.util.find_spec(name) and not Path(f"{name}.py").exists()):
        why = "an installed module has that name, and the task's file would stand in its way"
    elif name.startswith("test_"):
        why = "pytest would take the task for a test"
    if why:
        raise _refused(f"{name!r} cannot be a task's name: {why}", "ckgit task new NAME with another one, e.g. my_task")


def _refused(what: str, advice: str) -> CkgitError:
    return CkgitError(what, code=Exit.USAGE, state="nothing was written", next=advice)

"""What a design's data would train or measure that is hardly meant. Pure.

Rows without text, columns that nothing uses, rows that are trained on and evaluated, braces that nothing fills.
Each remark stands at the data set or the prompt that it is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ckgit.experiment.checks.data_profile import DataProfile
from ckgit.experiment.checks.remarks import Remark, joined
from ckgit.experiment.checks.row_uses import RowUse, prompt_place
from ckgit.experiment.design.model import Summary
from ckgit.experiment.design.plan import Plan
from ckgit.formats.rows import PLACEHOLDER, Row, Shape

MOST = 0.5  # a share of rows that is no exception
_BRACES = re.compile(r"\{\s*([A-Za-z_]\w*)\s*\}")
# The columns that hold the question in the data sets that most people know.
WORDS = {
    Shape.ALPACA: "Alpaca rows (instruction, input, output)",
    Shape.MESSAGES: "conversations (messages of role and content)",
    Shape.SHAREGPT: "ShareGPT conversations (from and value)",
    Shape.PREFERENCE: "preferences (prompt, chosen, rejected)",
}
_QUESTIONS = ("instruction", "question", "prompt", "query", "text")


class _Rows(NamedTuple):
    """One use of a split, whatever the model: training, or a task."""

    data: str
    split: str
    limit: int | None
    trained: bool


def data_remarks(
    summary: Summary, plan: Plan, surveys: Mapping[str, DataProfile], uses: Mapping[RowUse, Sequence[str]]
) -> Iterator[Remark]:
    """Everything that the rows and columns of the design's data say against it.

    Args:
        summary: the design.
        plan: its runs.
        surveys: of each data set that could be read.
        uses: of rows; see `uses`.
    """
    known = {use: runs for use, runs in uses.items() if use.data in surveys and use.split in surveys[use.data].rows}
    emptied = set()
    for rows, of in _grouped(known).items():
        for remark in (*_empty_inputs(summary, surveys, rows, of), *_empty_outputs(surveys, rows), *_repeated_prompts(surveys, rows)):
            emptied |= {rows.data} if remark.wrong else set()
            yield remark
    yield from _found_out(summary)
    yield from _system_messages(summary, plan, surveys, known)
    yield from _unused_columns(summary, surveys, {use.data for use in known} - emptied)
    yield from _overlaps(summary, surveys, known)
    yield from _braces(summary, plan, surveys, known)


def _found_out(summary: Summary) -> Iterator[Remark]:
    """Shapes that the design does not say."""
    for name, recorded in summary.recorded.data.items():
        if recorded.shape and name in summary.data:
            read = f"{summary.data[name].named} is read as {WORDS[Shape(recorded.shape)]}"
            other = "input_column and output_column" if recorded.shape == Shape.PREFERENCE else "shape: columns"
            yield Remark(f"data.{name}", f"{read}; write shape: {recorded.shape} to say so, or {other} for two columns")


def _system_messages(
    summary: Summary, plan: Plan, surveys: Mapping[str, DataProfile], uses: Mapping[RowUse, Sequence[str]]
) -> Iterator[Remark]:
    """Rows that cannot be sent: with a system message beside another one, or with turns before and no template for them."""
    tasks = {task.name: task for task in summary.evaluation.tasks}
    for use, runs in uses.items():
        rows, place = surveys[use.data].rows[use.split][: use.limit], f"data.{use.data}"
        other = next((n for n, row in enumerate(rows) if use.system_prompt and row.system not in (None, use.system_prompt)), None)
        if other is not None:
            at = prompt_place(summary, plan.run(runs[0]), tasks.get(use.task or ""), "system_prompt")
            where = surveys[use.data].where(use.split, other)
            yield Remark(at, f"{where} has a system message of its own, and system_prompt is another one: give one of them", wrong=True)
        if use.dataset_type != "chat" and any(row.history for row in rows):
            said = f"split {use.split} has conversations of several turns, which need a chat template (dataset_type: chat)"
            yield Remark(place, said, wrong=True)


def _grouped(uses: Mapping[RowUse, Sequence[str]]) -> dict[_Rows, list[RowUse]]:
    found: dict[_Rows, list[RowUse]] = {}
    for use in uses:
        found.setdefault(_Rows(use.data, use.split, use.limit, use.task is None), []).append(use)
    return found


def _unused(summary: Summary, surveys: Mapping[str, DataProfile], data: str) -> list[str]:
    """Columns of text that no data set of the design with this file uses; those that look like a question first."""
    paths = summary.data[data].paths
    same = [name for name, other in summary.data.items() if other.paths == paths and name in surveys]
    used = {column for name in same for column in (*surveys[name].layout.used, surveys[name].layout.split_column)}
    used |= {column for task in summary.evaluation.tasks for column in (*task.groups, task.clusters) if column}  # for the report
    used |= set(_told(summary))
    names = [name for name in surveys[data].unused if name not in used]
    return sorted(names, key=lambda name: _QUESTIONS.index(name.lower()) if name.lower() in _QUESTIONS else len(_QUESTIONS))


def _told(summary: Summary) -> Iterator[str]:
    """Every word that tasks and scorers are given: it may be the name of a column, which they read then."""
    tasks = summary.evaluation.tasks
    scorers = (*summary.evaluation.scorers, *(scorer for task in tasks for scorer in task.scorers))
    given: list[object] = [*(task.args for task in tasks), *(scorer.args for scorer in scorers)]
    while given:
        value = given.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            given += [*value, *value.values()]
        elif isinstance(value, list | tuple):
            given += value


def _without(rows: Sequence[Row], column: str) -> list[int]:
    """Positions of the rows that have nothing but white space there."""
    return [position for position, row in enumerate(rows) if not getattr(row, column).strip()]


def _counted(survey: DataProfile, rows: _Rows, empty: Sequence[int], total: int) -> str:
    first = survey.where(rows.split, empty[0])
    count = f"all {total:,}" if len(empty) == total else f"{len(empty):,} of {total:,}"
    return f"{count} rows of split {rows.split} ({first}{' is the first' if len(empty) > 1 else ''})"


def _empty_inputs(summary: Summary, surveys: Mapping[str, DataProfile], rows: _Rows, uses: Sequence[RowUse]) -> Iterator[Remark]:
    survey, place = surveys[rows.data], f"data.{rows.data}"
    taken = survey.rows[rows.split][: rows.limit]
    empty = _without(taken, "input")
    if not empty:
        return
    unused = _unused(summary, surveys, rows.data)
    counted = f"{_counted(survey, rows, empty, len(taken))} have no text in {_input_of(survey)}"
    what = "trained on" if rows.trained else "asked"
    most = len(empty) >= MOST * len(taken)
    if most and unused:
        others = f"and nothing uses the text {_columns(unused)}"
        remedy = f"write input_column: {unused[0]}, or join the columns into one in the file"
        yield Remark(place, f"{counted}, {others}: the model would be {what} the prompt without it; {remedy}", wrong=True)
    elif len(empty) == len(taken) and any(_is_bare(use) for use in uses):
        yield Remark(place, f"{counted}: the model would be {what} nothing but its template", wrong=True)
    else:
        yield Remark(place, f"{counted}: there the model is {what} the prompt alone")


def _input_of(survey: DataProfile) -> str:
    """What gives the model its question, in words."""
    return f"input_column {survey.layout.input_column!r}" if survey.layout.shape is Shape.COLUMNS else "their question"


def _is_bare(use: RowUse) -> bool:
    """Whether an empty input leaves nothing of the messages. Plain text may begin with the answer: that trains a language model."""
    return use.dataset_type == "chat" and not use.prompt.replace(PLACEHOLDER, "").strip()


def _empty_outputs(surveys: Mapping[str, DataProfile], rows: _Rows) -> Iterator[Remark]:
    survey, place = surveys[rows.data], f"data.{rows.data}"
    taken = survey.rows[rows.split][: rows.limit]
    empty = _without(taken, "output")
    if not empty:
        return
    counted = f"{_counted(survey, rows, empty, len(taken))} have no text in the output column"
    if rows.trained:
        yield Remark(place, f"{counted}: they train nothing but the end of the turn", wrong=len(empty) >= MOST * len(taken))
    else:
        yield Remark(place, f"{counted}: a scorer that compares with the output will mark every such answer right, or none")


def _repeated_prompts(surveys: Mapping[str, DataProfile], rows: _Rows) -> Iterator[Remark]:
    """Preferences whose answers are whole texts, with their prompts."""
    taken = surveys[rows.data].rows[rows.split][: rows.limit] if rows.trained else ()
    pairs = [(row.input.strip(), (row.output, row.rejected)) for row in taken if row.rejected is not None and row.input.strip()]
    if pairs and all((answer or "").lstrip().startswith(prompt) for prompt, answers in pairs for answer in answers):
        told = f"both answers of all {len(pairs):,} rows of split {rows.split} begin with their prompt, which the model is sent before them"
        yield Remark(f"data.{rows.data}", f"{told}: it would be trained to repeat it; take it out of the answers")


def _columns(names: Sequence[str]) -> str:
    return f"column{'s' if len(names) > 1 else ''} {joined(names)}"


def _unused_columns(summary: Summary, surveys: Mapping[str, DataProfile], used: set[str]) -> Iterator[Remark]:
    seen = set()
    for name in summary.data:
        path = summary.data[name].named
        unused = _unused(summary, surveys, name) if name in used and path not in seen else []
        seen.add(path)
        if unused:
            sees = "the model is never shown them" if len(unused) > 1 else "the model is never shown it"
            yield Remark(f"data.{name}", f"nothing uses the text {_columns(unused)} of {path}: {sees}")


def _overlaps(summary: Summary, surveys: Mapping[str, DataProfile], uses: Mapping[RowUse, Sequence[str]]) -> Iterator[Remark]:
    """Evaluated rows whose input was trained on by the same run."""
    trained: dict[str, tuple[str, str]] = {run: (use.data, use.split) for use, runs in uses.items() if use.task is None for run in runs}
    seen = set()
    for use, runs in uses.items():
        if use.task is None:
            continue
        for source in dict.fromkeys(trained[run] for run in runs if run in trained):
            key = (source, use.data, use.split, use.limit)
            if key not in seen:
                seen.add(key)
                yield from _overlap(summary, surveys, source, use)


def _overlap(summary: Summary, surveys: Mapping[str, DataProfile], source: tuple[str, str], use: RowUse) -> Iterator[Remark]:
    data, split = source
    if source == (use.data, use.split):
        place = summary.evaluation.place(str(use.task))
        yield Remark(place, f"task {use.task} evaluates split {split} of data {data}, which the runs are trained on")
        return
    asked = [_question(row) for row in surveys[use.data].rows[use.split][: use.limit]]
    wanted = set(asked) - {_question(Row("", ""))}
    known = {said for row in surveys[data].rows[split] if (said := _question(row)) in wanted}
    if both := sum(said in known for said in asked):
        of = f"split {use.split}" if data == use.data else f"split {use.split} of data {use.data}"
        where = f"split {split}" if data == use.data else f"split {split} of data {data}"
        have, these = ("have", "these rows") if both > 1 else ("has", "this row")
        found = f"{both:,} of {len(asked):,} rows of {of} {have} an input that is trained on, too ({where})"
        yield Remark(f"data.{use.data}", f"train/test overlap: {found}; on {these} the score measures memorization")


def _question(row: Row) -> tuple[object, str]:
    """All that a row asks, which two rows share where one is the other."""
    return row.history, row.input.strip()


def _braces(summary: Summary, plan: Plan, surveys: Mapping[str, DataProfile], uses: Mapping[RowUse, Sequence[str]]) -> Iterator[Remark]:
    """`{word}` in a prompt: nothing but {input} is filled in."""
    tasks = {task.name: task for task in summary.evaluation.tasks}
    found: dict[Remark, None] = {}
    for use, runs in uses.items():
        task, run = tasks.get(use.task or ""), plan.run(runs[0])
        for name in ("prompt", "system_prompt"):
            if "{" in getattr(use, name):
                place = prompt_place(summary, run, task, name)
                found |= dict.fromkeys(Remark(place, *said) for said in _unfilled(name, getattr(use, name), surveys[use.data].columns))
    yield from found


def _unfilled(name: str, text: str, columns: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """What is sent with its braces as it stands, and whether that is certainly not meant."""
    known = {column.lower(): column for column in columns}
    if name == "prompt" and f"{{{PLACEHOLDER}}}" in text:
        yield f"{{{PLACEHOLDER}}} in {name} keeps its outer braces: write {PLACEHOLDER}", False
    for match in _BRACES.finditer(text):
        word = match[1]
        if match[0] == PLACEHOLDER and name == "prompt":
            continue
        if word == "input":
            yield f"{match[0]} in {name} is sent as it stands: only prompt is filled in, and only where it has exactly {PLACEHOLDER}", True
        elif word.lower() in known:
            remedy = f"did you mean input_column: {known[word.lower()]}, and {PLACEHOLDER} in the prompt?"
            yield f"{match[0]} in {name} is sent as it stands, as only {PLACEHOLDER} is replaced; {remedy}", True
        else:
            yield f"{match[0]} in {name} is sent as it stands, as only {PLACEHOLDER} is replaced", False

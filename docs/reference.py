"""The text of docs/reference.md, made from the code: commands, exit codes, fields, workers, files."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any

import click

from ckgit.cli import COMMANDS, group
from ckgit.cli.examples import EXAMPLES
from ckgit.errors import MEANING
from ckgit.experiment.card import ModelCard
from ckgit.experiment.cluster import PERSONAL, LabConfig
from ckgit.experiment.design.parameters import EVALUATION_PARAMETERS
from ckgit.experiment.jobs import FailureClass
from ckgit.experiment.lifecycle import TRAILERS, legal_transitions
from ckgit.experiment.schemas import MODELS, PRINTED
from ckgit.experiment.tools.by_tool import DEFAULT_TOOL, design_type, parameters_of
from ckgit.formats.listing import in_words
from ckgit.formats.rows import DEFAULT_SPLIT
from ckgit.orchestrators.review.rules import RULES
from docs.exit_codes import ALWAYS, ENDS_WITH
from docs.files import FILES
from docs.troubles import FAILURES, TO_DO

HEAD = """\
# Reference

Made from the code by `make docs`; a test holds it equal. For a way through it, read the [tutorial](tutorial.md).
"""


RUN_NAMES = """\
### Names of runs

A run of `variables` is named by its values, in the order of the variables, with `_` between them: `rank8_lr1e-5`. `ckgit validate` prints
the names.

- Parameters have their own names, some a shorter one: {short}.
- A number below 0.01 is written with an exponent, any other without, and neither with zeros that say nothing: `1e-2` is `lr0.01`, `2e-3`
  and `0.0020` are `lr2e-3`, `1.0` is `lr1`.
- Text that could be a name stands for itself (`model: [llama_1b]` is `llama_1b`); other text, and every {text}, is counted: `prompt1`.

A run under `runs` has the name that is written there.
"""
DATA_FILES = """\
### Data files

A row has two texts: what the model is given, and what it should answer. `input_column` and `output_column` say which; they are
`input` and `output` where nothing is said. Text is UTF-8, and a data set one of these:

- `.json` with splits: `{{"train": [{{"input": "apple", "output": "APPLE"}}, ...], "test": [...]}}`. Splits may have any names.
- `.json` with one list of rows, or `.jsonl` with a row a line: all of it is split `{split}`, unless rows have a `"split"` of their own;
- `.csv`, `.tsv`, `.parquet`, or a folder of Hugging Face datasets. The page on [your data](your-data.md) has each of these, the other
  shapes of rows (Alpaca, conversations, columns of your own), and how rows are divided into splits.

Runs train on `train_split` (`{split}`), tasks ask the rows of their `split`. A task's `data` may be another data set than that which
was trained on, so test rows may also lie in a file of their own: `split: {split}` there.
"""
OWN_CONFIGURATION = """\
The `[clusters.NAME]` tables and `default_cluster` of a person's own `~/.config/ckgit/config.toml` are laid over these. What stands only
there of {keys} and `setup` is not in the scripts
that are committed: it goes along with the jobs that this person hands over, and is named in the commit that submits them.
"""
NO_OTHER_SETTING = """\
No other setting changes what ckgit reads, writes or says. Your identity, your access to remotes, your signing key, your hooks, and the
filters of your checkouts are used as your own git commands use them. git never asks for a user name or password on behalf of ckgit;
ssh and the signing program may, on a terminal.
"""
DOCUMENTS = """\
What `--json` prints is one document, alone on standard output. A command that ends with an error prints `error-document` instead, in
one line and alone on standard error. What people are told beside a result is in `notes`. In all documents

- `experiment` is a name, `commit` a full id, `design_hash` the hash of a design;
- `lifecycle_state` is the state of an experiment, `condition` where a job stands, `code` an exit code of ckgit;
- `advice` says what to do next, as people read it, and `next` lists the commands of `ckgit` and `git` in it, each as it may be typed in
  the lab; one in which something must be filled in first, or that is to be given elsewhere, is in `advice` alone;
- times are in UTC, as `2026-11-29T10:00:00Z`. For people, they are those of the machine, as `2026-11-29 12:00 +02:00`.
"""
GIT_SETTINGS = {
    "ckgit.defaultBranch": (
        "the remote's, main, master, or the only one",
        "Branch that `ckgit.toml`, tasks, data and model cards are read from.",
    ),
    "ckgit.sign": (
        "`commit.gpgsign`",
        "Whether ckgit signs its commits, with the key and the program of your own (`user.signingkey`, `gpg.format`, `gpg.program`).",
    ),
    "ckgit.hooksRequired": (
        "`false`, for `pre-receive` `true`",
        "Whether a hook of ckgit's refuses where ckgit is not on PATH; otherwise it says so and lets git go on.",
    ),
    "ckgit.hooksVerify": (
        "`light`, for `pre-receive` `full`",
        "Whether results that are pushed are verified (`full`), or the structure of the commits alone is looked at (`light`).",
    ),
    "ckgit.remoteTimeout": (
        "`60`",
        "Seconds without output after which the authority times out (exit code 75); a slow remote that still prints is waited for.",
    ),
}


def reference() -> str:
    """The whole page."""
    return "\n".join(
        [HEAD, *_commands(), *_exit_codes(), *_lifecycle(), *_design(), *_lab(), *_git_settings(), *_workers(), *_files(), *_schemas()]
    )


def rules() -> str:
    """What each rule of verification looks for, for docs/verify.md."""
    rows = [[f"`{rule.name}`", str(rule.severity), rule.means, rule.example, rule.do] for rule in RULES.values()]
    return _table(["rule", "severity", "what it means", "for example", "what to do"], rows)


def exit_advice() -> str:
    """What to do about each exit code, for docs/troubleshooting.md."""
    rows = [[f"{code.value}", f"`{code.name.lower()}`", meaning, TO_DO[code]] for code, meaning in MEANING.items()]
    return _table(["code", "name in `--json`", "meaning", "what to do"], rows)


def failure_advice() -> str:
    """What to do about each way in which a job can fail, for docs/troubleshooting.md."""
    rows = [[f"`{kind}`", FAILURES[kind].means, FAILURES[kind].do] for kind in FailureClass]
    return _table(["class", "what happened", "what to do"], rows)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(_cell(text) for text in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _commands() -> Iterator[str]:
    context = click.Context(group, info_name="ckgit")
    yield "## Commands\n\nEvery command takes `ckgit -C DIR` to work in another folder.\n"
    for name in COMMANDS:
        command = group.get_command(context, name)
        if command is not None and not command.hidden:
            yield from _command(command, name, context)


def _command(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"### {context.command_path}\n\n`{context.command_path} {usage}`\n"
    if command.help:
        yield inspect.cleandoc(command.help.replace("\b\n", "")) + "\n"
    options = [record for param in command.params if isinstance(param, click.Option) and (record := param.get_help_record(context))]
    if options:
        yield _table(["option", ""], [[f"`{flags}`", text] for flags, text in options])
    examples = EXAMPLES[context.command_path.removeprefix("ckgit ")]
    yield "```sh\n" + "\n".join(examples) + "\n```\n"
    if printed := PRINTED.get(context.command_path.removeprefix("ckgit ")):
        yield f"`--json` prints {' or '.join(f'`{schema}`' for schema in printed)}, see [JSON schemas](#json-schemas).\n"
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None:
                yield from _command(found, child, context)


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes\n"
    yield _table(["code", "meaning"], [[str(code.value), text] for code, text in MEANING.items()])
    others = [code for code in MEANING if code not in ALWAYS]
    yield f"Every command can end with {in_words([str(code.value) for code in MEANING if code in ALWAYS])}. These have others, too:\n"
    rows = [[f"`ckgit {name}`", *("x" if code in codes else "" for code in others)] for name, codes in ENDS_WITH.items() if codes]
    yield _table(["command", *(str(code.value) for code in others)], rows)
    yield "`ckgit quickstart` ends with the code of the first of its commands that fails.\n"


def _lifecycle() -> Iterator[str]:
    yield "## States and events\n\nEach row is a legal commit on an experiment's branch.\n"
    yield _table(["event", "from", "to"], [[edge.event, edge.source or "(new branch)", edge.target] for edge in legal_transitions()])
    yield f"Trailers of each commit: {', '.join(f'`{t}`' for t in TRAILERS)}.\n"


def _design() -> Iterator[str]:
    parameters = parameters_of(DEFAULT_TOOL)
    yield "## Design\n\nThe front matter of `experiment_summary.md`, without `state` and `recorded`, which ckgit writes.\n"
    yield from _fields(design_type(parameters).model_json_schema(), "Top level")
    others = "another preparation tool has its own, which `ckgit schema design` shows"
    yield f"The parameters are those of {DEFAULT_TOOL}; {others}. What other [trainers](trainers.md) take stands on a page of its own.\n"
    yield "### Defaults\n\nWhat a parameter is when neither the run, the controls nor the base recipe say.\n"
    yield _table(["parameter", "default"], [[f"`{name}`", f"`{_plain(value)}`"] for name, value in parameters.all_defaults().items()])
    yield f"A control or eval-only run can differ in {', '.join(f'`{p}`' for p in EVALUATION_PARAMETERS)} only.\n"
    short = ", ".join(f"`{long}` is `{name}`" for long, name in parameters.short_names.items())
    yield RUN_NAMES.format(short=short, text=" and ".join(f"`{name}`" for name in parameters.free_text))
    yield DATA_FILES.format(split=DEFAULT_SPLIT)


def _lab() -> Iterator[str]:
    yield "## ckgit.toml\n"
    yield OWN_CONFIGURATION.format(keys=", ".join(f"`{key}`" for key in PERSONAL))
    yield from _fields(LabConfig.model_json_schema(), "Top level")
    yield "## Model card\n\n`models/NAME.yaml`, written by `ckgit models add`.\n"
    yield from _fields(ModelCard.model_json_schema(), "Top level")


def _git_settings() -> Iterator[str]:
    yield "## Settings of git\n"
    yield "`git config KEY VALUE`, for this clone; with `--global` for all of yours.\n"
    yield _table(("key", "default", ""), [(f"`{key}`", default, text) for key, (default, text) in GIT_SETTINGS.items()])
    yield NO_OTHER_SETTING


def _fields(schema: Mapping[str, Any], title: str) -> Iterator[str]:
    """A table per model that a schema is made of, outermost first."""
    yield _model(schema, title)
    order: list[str] = []
    _reachable(schema, schema.get("$defs", {}), order)
    for name in order:
        definition = schema["$defs"][name]
        if "properties" in definition:
            yield _model(definition, name)


def _reachable(node: Any, definitions: Mapping[str, Any], order: list[str]) -> None:
    """Names of definitions in the order in which a reader meets them."""
    if isinstance(node, list):
        for item in node:
            _reachable(item, definitions, order)
    elif isinstance(node, dict):
        if (name := node.get("$ref", "").removeprefix("#/$defs/")) and name not in order:
            order.append(name)
            _reachable(definitions[name], definitions, order)
        for key, value in node.items():
            if key != "$defs":
                _reachable(value, definitions, order)


def _model(schema: Mapping[str, Any], title: str) -> str:
    required = schema.get("required", ())
    rows = [
        [f"`{name}`", _type(field), "required" if name in required else _default(field), field.get("description", "")]
        for name, field in schema["properties"].items()
    ]
    text = "" if title == "Top level" else schema.get("description", "") + "\n\n"
    return f"#### {title}\n\n{text}" + _table(["field", "type", "default", ""], rows)


def _type(field: Mapping[str, Any]) -> str:
    """A JSON schema's type as a reader says it."""
    if "$ref" in field:
        return str(field["$ref"]).removeprefix("#/$defs/")
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(one) for one in field["anyOf"] if one.get("type") != "null"))
    if "enum" in field or "const" in field:
        return " or ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    if field.get("type") == "object":
        values = field.get("additionalProperties")
        return f"map to {_type(values if isinstance(values, dict) else {})}"
    names = {"string": "text", "integer": "whole number", "boolean": "true or false", None: "anything"}
    return "date" if field.get("format") == "date" else str(names.get(field.get("type"), field.get("type")))


def _default(field: Mapping[str, Any]) -> str:
    value = field.get("default")
    return "" if value in (None, "", [], {}) or isinstance(value, dict | list) else f"`{_plain(value)}`"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_plain, value))}]"
    return '""' if value == "" else str(value)


def _workers() -> Iterator[str]:
    yield "## Workers\n\n`ckgit worker NAME EXPERIMENT` runs one alone.\n"
    workers = [point.load() for point in sorted(entry_points(group="ckgit.workers"), key=lambda point: point.name)]
    in_tree = sorted((worker for worker in workers if type(worker).__module__.startswith("ckgit.")), key=lambda worker: worker.label)
    rows = []
    for worker in in_tree:
        rows.append([f"`scaffold-{worker.label}`", f"`{worker.tool}`", worker.reads, worker.writes])
        rows.append([f"`run-{worker.label}`", f"`{worker.tool}`", f"what `scaffold-{worker.label}` wrote", worker.leaves])
    yield _table(["worker", "tool in the design", "reads", "writes"], rows)


def _files() -> Iterator[str]:
    yield "## Files of an experiment\n\nUnder `experiments/NAME/` on branch `exp/NAME`.\n"
    yield _table(["file", "written by", "what it is"], [[f"`{file.pattern}`", file.step, file.text] for file in FILES])


def _schemas() -> Iterator[str]:
    yield "## JSON schemas\n\n`ckgit schema NAME` prints one; they are committed under `schemas/`.\n"
    yield DOCUMENTS
    yield _table(["schema", "describes"], [[f"`{name}`", file] for name, (_, file) in MODELS.items()])

"""What the shell is told when a word is completed: experiments, runs, jobs, clusters. Quick, and silent whatever is wrong.

click asks with the environment variable `_CKGIT_COMPLETE`. Of a command that is completed as far as its names, no module is imported:
a stand-in takes the same names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

_LOCAL = "refs/heads/exp/"
_NO_RUN = ("analysis", "data")  # the folders of an experiment that are not a run's


def item(word: str, *, kind: str = "plain", text: str | None = None) -> CompletionItem:
    """One answer to the shell. What makes it takes 3 ms to import, which other commands do without."""
    from click.shell_completion import CompletionItem

    return CompletionItem(word, type=kind, help=text)


def _quietly(find: Callable[[click.Context, str], Iterable[str]]) -> Complete:
    """Those of the words that begin as what was typed; none where something is wrong."""

    def complete(ctx: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem]:
        try:
            return [item(word) for word in dict.fromkeys(find(ctx, typed)) if word.startswith(typed)]
        except Exception:  # noqa: BLE001 - the user is in the middle of a line
            return []

    return complete


def _folder(ctx: click.Context) -> Path:
    """What -C says, whose `~` the shell has not replaced yet."""
    return Path(ctx.find_root().params.get("folder") or ".").expanduser()


def _experiments(ctx: click.Context, typed: str) -> list[str]:
    """Every experiment with a branch, the newest first, but for those that the line has."""
    from ckgit.lab.git.command import git_lines

    refs = git_lines(_folder(ctx), "for-each-ref", "--sort=-committerdate", "--format=%(refname)", _LOCAL, "refs/remotes/*/exp/*")
    given = ctx.params.get("names") or ()
    names = [name for ref in refs if (name := ref.rpartition("/")[2]) not in given]
    return [f"exp/{name}" for name in names] if typed.startswith("exp/") else names


def _given(ctx: click.Context, name: str) -> str | None:
    """What the line has for an argument; where its last word is an option that lacks its value, click has sorted nothing."""
    arguments = [param.name for param in ctx.command.params if isinstance(param, click.Argument)]
    unsorted = dict(zip(arguments, (word for word in ctx.args if not word.startswith("-")), strict=False))
    found = ctx.params.get(name) or unsorted.get(name)
    return found[0] if isinstance(found, tuple) else found  # of several experiments, the first


def _branch(ctx: click.Context) -> tuple[str, str]:
    """The experiment that the line names, or whose branch is checked out, and the commit that is at its tip."""
    from ckgit.lab.git.command import git_lines, git_text

    folder = _folder(ctx)
    given = _given(ctx, "name") or _given(ctx, "names")
    name = str(given or git_text(folder, "symbolic-ref", "HEAD").removeprefix(_LOCAL)).removeprefix("exp/")
    return name, git_lines(folder, "for-each-ref", "--format=%(objectname)", f"{_LOCAL}{name}", f"refs/remotes/*/exp/{name}")[0]


def _runs(ctx: click.Context, _: str) -> list[str]:
    """Runs of the experiment: by their folders, or by the design before it is scaffolded."""
    from ckgit.lab.git.command import git_lines

    name, tip = _branch(ctx)
    folder = _folder(ctx)
    folders = git_lines(folder, "ls-tree", "-d", "--name-only", "--full-tree", tip, f"experiments/{name}/")
    runs = [path.rpartition("/")[2] for path in folders]
    return [run for run in runs if run not in _NO_RUN] or _designed_runs(folder, name, tip)


def _designed_runs(folder: Path, name: str, tip: str) -> list[str]:
    from ckgit.experiment.design.expand import build_plan
    from ckgit.lab.git.objects import read_object
    from ckgit.lab.summary.file import FILE, SummaryFile

    content = read_object(folder, f"{tip}:experiments/{name}/{FILE}") or b""
    return [run.name for run in build_plan(SummaryFile.parse(content, FILE).summary).runs]


def _jobs(*, bad: bool) -> Callable[[click.Context, str], list[str]]:
    """Jobs of the experiment's ledger that ended badly, or that are out."""

    def find(ctx: click.Context, _: str) -> list[str]:
        from ckgit.experiment.classify import classify, newest, read_outline
        from ckgit.lab.git.objects import read_object

        name, tip = _branch(ctx)
        ledger = read_outline(read_object(_folder(ctx), f"{tip}:experiments/{name}/jobs.json") or b"")
        conditions = {job: classify(attempt) for job, attempt in newest(ledger.attempts).items()}
        return [job for job, condition in conditions.items() if (condition.is_bad if bad else condition.is_open)]

    return find


def _clusters(ctx: click.Context, _: str) -> list[str]:
    from ckgit.lab.lab import open_lab

    return sorted(open_lab(_folder(ctx)).config.clusters)


def _tasks(ctx: click.Context, _: str) -> list[str]:
    from ckgit.lab.lab import open_lab
    from ckgit.orchestrators.tasks.listing import tasks_of

    return [task.name for task in tasks_of(open_lab(_folder(ctx)))]


def _workers(ctx: click.Context, _: str) -> list[str]:
    from ckgit.orchestrators.commands import one_worker

    del ctx  # they are installed, wherever one is
    return [row.name for row in one_worker.rows()]


def _templates(ctx: click.Context, _: str) -> list[str]:
    from ckgit.orchestrators.design.beginnings.templates import templates as known

    del ctx  # they come with ckgit
    return list(known())


def _models(ctx: click.Context, _: str) -> list[str]:
    """The model cards of the checkout."""
    return sorted(card.stem for card in (_folder(ctx) / "models").glob("*.yaml"))


templates, models = _quietly(_templates), _quietly(_models)
experiments, runs, clusters, workers = _quietly(_experiments), _quietly(_runs), _quietly(_clusters), _quietly(_workers)
tasks = _quietly(_tasks)
failed_jobs, open_jobs = _quietly(_jobs(bad=True)), _quietly(_jobs(bad=False))


def files(_: click.Context, __: click.Parameter, typed: str) -> list[CompletionItem]:
    """Leave it to the shell, which completes files."""
    return [item(typed, kind="file")]


def experiments_or_files(ctx: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    """An experiment, or a file where none begins so."""
    return experiments(ctx, param, typed) or files(ctx, param, typed)


_NAMES: Mapping[str, Complete] = {
    "name": experiments,
    "names": experiments,
    "run": runs,
    "target": experiments_or_files,
    "worker": workers,
}
_ARGUMENTS: Mapping[str, tuple[str, ...]] = {  # of commands whose modules are slow to import
    "show": ("name", "run"),
    "worker": ("worker", "name"),
    "validate": ("target",),
    **dict.fromkeys(["advance", "retry", "cancel"], ("names",)),
    **dict.fromkeys(["why", "revise", "log", "status"], ("name",)),
    **dict.fromkeys(["scaffold-experiment", "run-experiment", "analyze-experiment"], ("name",)),
}


def stand_in(command: str) -> click.Command | None:
    """A command that takes the same names, while no more than those was typed."""
    if command not in _ARGUMENTS or _has_options(command):
        return None
    arguments = [
        click.Argument([name], required=False, nargs=-1 if name == "names" else 1, shell_complete=_NAMES[name])
        for name in _ARGUMENTS[command]
    ]
    return click.Command(command, params=[*arguments])


def _has_options(command: str) -> bool:
    after = os.environ.get("COMP_WORDS", "").partition(f" {command} ")[2].split()
    return any(word.startswith("-") for word in [*after, os.environ.get("COMP_CWORD", "")])  # fish has the last word there

"""The quickstart: an experiment from design to report, by the commands that a user would type.

Each command is printed and runs as a process of its own, so that what is shown is what happened.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.state import State
from ckgit.experiment.tools.workers import installed_workers
from ckgit.jobs.script import RUN
from ckgit.lab.experiments import list_experiments
from ckgit.lab.git.command import GitError, git
from ckgit.lab.lab import Lab, open_lab
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.workers.training.worker import TrainingWorker

TEMPLATES = Path(__file__).resolve().parent.parent / "lab" / "templates"
SHOWN_BYTES = 4_000  # of what a failed maker printed
IDENTITY = {"name": "ckgit quickstart", "email": "quickstart@localhost"}


class Example(NamedTuple):
    """An experiment that comes with ckgit."""

    experiment: str
    model: str  # name of its model card, and of its folder in the cache
    maker: str  # `python -m MAKER FOLDER` makes the model
    making: str  # what that does, in words
    folder: str  # of the lab, where none is given; with another trainer, its name is added
    rows: str = ""  # of an example with files of its own: the file that makes its rows
    baseline: str = ""  # and the name of the regression that is fitted to them

    @property
    def template(self) -> Path:
        """The design, of an example that is no template of `ckgit design`."""
        return TEMPLATES / f"{self.experiment}.yaml"

    @property
    def design(self) -> tuple[str, str | Path]:
        """What the design begins with."""
        return ("--template", self.experiment) if self.rows else ("--from", self.template)

    @property
    def files(self) -> tuple[str, ...]:
        """How the lab gets the example's own files."""
        return ("--example", self.experiment) if self.rows else ()


EXAMPLES: Mapping[str, Example] = {
    "tiny": Example(
        experiment="quickstart",
        model="tiny_llama",
        maker="ckgit.examples.tiny_model",
        making="torchtune teaches a tiny Llama the alphabet",
        folder="quickstart-lab",
    ),
    "smollm2": Example(
        experiment="smollm2",
        model="SmolLM2-135M-Instruct",
        maker="ckgit.examples.smollm2",
        making="SmolLM2-135M-Instruct is fetched and converted",
        folder="smollm2-lab",
    ),
    "survey": Example(
        experiment="survey",
        model="SmolLM2-135M-Instruct",
        maker="ckgit.examples.smollm2",
        making="SmolLM2-135M-Instruct is fetched and converted",
        folder="survey-lab",
        rows="data/anes96.py",
        baseline="logit",
    ),
}


class Guide(NamedTuple):
    """Shows each command, and runs it unless this is a dry run."""

    say: Callable[[str], None]
    dry_run: bool

    def ckgit(self, *words: str | Path, environment: Mapping[str, str] | None = None) -> None:
        """Run ckgit itself; `environment` is added to the user's."""
        arguments = list(map(str, words))
        self._run(shlex.join([program(), *arguments]), ["ckgit", *arguments], environment=environment)

    def make(self, module: str, *paths: Path) -> None:
        """Run a module of ckgit that makes a model. What its tools print is shown only when it fails."""
        arguments = [module, *map(str, paths)]
        self._run(shlex.join(["python", "-m", *arguments]), arguments, quiet=True)

    def _run(self, shown: str, arguments: list[str], *, environment: Mapping[str, str] | None = None, quiet: bool = False) -> None:
        self.say(f"\n$ {shown}")
        if self.dry_run:
            return
        command = [sys.executable, "-m", *arguments]
        known = {**os.environ, **(environment or {})}
        done = subprocess.run(command, env=known, stdin=subprocess.DEVNULL, capture_output=quiet, check=False)
        if done.returncode:
            self.say((done.stderr or b"")[-SHOWN_BYTES:].decode(errors="replace"))
            raise CkgitError(
                f"`{shown}` ended with exit code {done.returncode}",
                code=Exit(done.returncode) if done.returncode in list(Exit) else Exit.COMMAND_FAILED,
                state="what was done before it is kept",
                next="see above; the same quickstart, started again, goes on from here",
            )


def quickstart(example: Example, folder: Path, cache: Path, trainer: str | None, *, dry_run: bool, say: Callable[[str], None]) -> None:
    """Take an example from nothing, or from where it stands, to its report.

    Args:
        example: which one.
        folder: the lab; made when it is not there.
        cache: folder that keeps the model for the next time.
        trainer: tool that trains; None for that of the design.
        dry_run: only show the commands.
        say: takes a line for the user.

    Raises:
        CkgitError: what it needs is not installed, the folder is something else or has another trainer's experiment, or a command failed.
    """
    _need_tools(["statsmodels"] if example.rows else [], trainer)
    guide = Guide(say, dry_run)
    lab = _make_lab(guide, example, folder)
    state = next((row.state for row in list_experiments(lab) if row.name == example.experiment), None) if lab else None
    if lab and state and trainer:
        _refuse_other_trainer(lab, example, folder, trainer)
    if state is State.ANALYZED:
        say(f"The experiment {example.experiment} is analyzed already; nothing was run. To see it run again: rm -r {folder}")
    else:
        _make_model(guide, example, folder, cache)
        if state is None:
            named = (f"--set=tools.preparation={trainer}",) if trainer else ()
            guide.ckgit("-C", folder, "design", example.experiment, *example.design, *named)
        guide.ckgit("-C", folder, "advance", example.experiment, "--to", "analyzed")
    _ending(guide, example, folder)


def _need_tools(further: Sequence[str], trainer: str | None) -> None:
    modules, extra = _needs(trainer) if trainer else ((), RUN)
    names = dict.fromkeys(("torch", "torchtune", "inspect_ai", *modules, *further))
    if missing := [name for name in names if importlib.util.find_spec(name) is None]:
        raise CkgitError(
            f"the quickstart trains and evaluates, and {' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not installed",
            code=Exit.TOOL_MISSING,
            state="nothing was written",
            next=f'pip install "ckgit[{",".join([extra, *(["survey"] if further else [])])}]"',
        )


def _needs(trainer: str) -> tuple[Sequence[str], str]:
    """Modules of a trainer, and the extra that brings them.

    Raises:
        CkgitError: no such trainer is installed.
    """
    trainers = [each.worker for each in installed_workers() if isinstance(each.worker, TrainingWorker)]
    known = {worker.tool: worker for worker in trainers}
    if trainer not in known:
        next_one = f"name one of {', '.join(known)}"
        raise CkgitError(f"no trainer is called {trainer}", code=Exit.USAGE, state="nothing was written", next=next_one)
    return known[trainer].needs()


def _refuse_other_trainer(lab: Lab, example: Example, folder: Path, trainer: str) -> None:
    there = take_snapshot(lab, example.experiment).summary.summary.tools.preparation
    if there != trainer:
        raise CkgitError(
            f"the experiment {example.experiment} is trained with {there}",
            where=str(folder),
            code=Exit.USAGE,
            state="nothing was changed",
            next=f"name another folder for the one with {trainer}: ckgit quickstart FOLDER --trainer {trainer}",
        )


def _make_lab(guide: Guide, example: Example, folder: Path) -> Lab | None:
    """The lab; None where a dry run made none."""
    if (folder / "ckgit.toml").exists():
        guide.say(f"Going on with the lab in {folder}.")
        return open_lab(folder)
    if folder.exists() and any(folder.iterdir()):
        raise CkgitError(
            "the folder is neither empty nor a lab", where=str(folder), code=Exit.USAGE, next="name another one: ckgit quickstart FOLDER"
        )
    if _has_identity(folder):
        guide.ckgit("init", folder, "--slots", "2", *example.files)
    else:
        _init_without_identity(guide, example, folder)
    return None if guide.dry_run else open_lab(folder)


def _has_identity(folder: Path) -> bool:
    """Whether commits in a new repository would have an author. Asked outside of any repository, whose own settings do not count."""
    try:
        git(Path(folder.resolve().anchor), "-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT")
    except GitError:
        return False
    return True


def _init_without_identity(guide: Guide, example: Example, folder: Path) -> None:
    """A user who never told git a name gets one for this lab alone."""
    guide.say(f"git knows no user.name and user.email: in this lab alone, commits are by {IDENTITY['name']} <{IDENTITY['email']}>.")
    names = {f"GIT_{role}_{field.upper()}": value for role in ("AUTHOR", "COMMITTER") for field, value in IDENTITY.items()}
    guide.ckgit("init", folder, "--slots", "2", *example.files, environment=names)
    if not guide.dry_run:
        for field, value in IDENTITY.items():
            git(folder, "config", "--local", f"user.{field}", value)


def _make_model(guide: Guide, example: Example, folder: Path, cache: Path) -> None:
    """The model in the cache, where it appears whole or not at all, and its card in the lab."""
    made = cache.resolve() / example.model
    if not made.exists():
        guide.say(f"\nFirst, {example.making}; it is kept in {made} for the next time.")
        guide.make(example.maker, made)
    committed = ("--commit",) if example.rows else ()  # a template is filled from what is committed
    guide.ckgit("-C", folder, "models", "add", example.model, made, *committed)
    if example.baseline:
        fitted = (folder / "models" / example.baseline).resolve()
        if not fitted.exists():
            guide.make("ckgit.examples.regression", folder / example.rows, fitted)
        guide.ckgit("-C", folder, "models", "add", example.baseline, fitted, *committed)


def _ending(guide: Guide, example: Example, folder: Path) -> None:
    guide.ckgit("-C", folder, "log", example.experiment)
    guide.ckgit("-C", folder, "show", example.experiment)
    guide.ckgit("-C", folder, "report", example.experiment)
    if guide.dry_run:
        return
    ckgit = shlex.join([program(), "-C", str(folder)])
    guide.say("\nTry next:")
    guide.say(f"  {ckgit} report {example.experiment} --open")
    guide.say(f"  {ckgit} design mine --like {example.experiment} --set controls.lr=1e-3")
    guide.say(f"  {ckgit} advance mine --to analyzed")
    guide.say(f"  {ckgit} show mine")


def program() -> str:
    """How the user can call this ckgit: by its name where that finds it, otherwise by its path."""
    own = Path(sys.executable).with_name("ckgit")
    found = shutil.which("ckgit")
    return "ckgit" if found and Path(found).resolve() == own.resolve() else os.path.relpath(own)

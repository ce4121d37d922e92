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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.state import State
from ckgit.lab.experiments import list_experiments
from ckgit.lab.git.command import GitError, git
from ckgit.lab.lab import Lab, open_lab
from ckgit.lab.snapshot import take_snapshot

TEMPLATES = Path(__file__).resolve().parent.parent / "lab" / "templates"
SHOWN_BYTES = 4_000  # of what a failed maker printed
IDENTITY = {"name": "ckgit quickstart", "email": "quickstart@localhost"}


class Example(NamedTuple):
    """An experiment that comes with ckgit."""

    experiment: str
    model: str  # name of its model card, and of its folder in the cache
    maker: str  # `python -m MAKER FOLDER` makes the model
    making: str  # what that does, in words
    folder: str  # of the lab, where none is given

    @property
    def template(self) -> Path:
        """The design."""
        return TEMPLATES / f"{self.experiment}.yaml"


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
}


class Guide(NamedTuple):
    """Shows each command, and runs it unless this is a dry run."""

    say: Callable[[str], None]
    dry_run: bool

    def ckgit(self, *words: str | Path, environment: Mapping[str, str] | None = None) -> None:
        """Run ckgit itself; `environment` is added to the user's."""
        arguments = list(map(str, words))
        self._run(shlex.join([program(), *arguments]), ["ckgit", *arguments], environment=environment)

    def make(self, module: str, destination: Path) -> None:
        """Run a module of ckgit that makes a model. What its tools print is shown only when it fails."""
        arguments = [module, str(destination)]
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


def quickstart(example: Example, folder: Path, cache: Path, *, dry_run: bool, say: Callable[[str], None]) -> None:
    """Take an example from nothing, or from where it stands, to its report.

    Args:
        example: which one.
        folder: the lab; made when it is not there.
        cache: folder that keeps the model for the next time.
        dry_run: only show the commands.
        say: takes a line for the user.

    Raises:
        CkgitError: ckgit[run] is not installed, the folder is something else, or a command failed.
    """
    _need_tools()
    guide = Guide(say, dry_run)
    lab = _make_lab(guide, folder)
    state = next((row.state for row in list_experiments(lab) if row.name == example.experiment), None) if lab else None
    if state is State.ANALYZED:
        say(f"The experiment {example.experiment} is analyzed already; nothing was run. To see it run again: rm -r {folder}")
    else:
        _make_model(guide, example, folder, cache)
        if state is None:
            guide.ckgit("-C", folder, "design", example.experiment, "--from", example.template)
        guide.ckgit("-C", folder, "advance", example.experiment, "--to", "analyzed")
    _ending(guide, example, folder)


def _need_tools() -> None:
    if missing := [name for name in ("torch", "torchtune", "inspect_ai") if importlib.util.find_spec(name) is None]:
        raise CkgitError(
            f"the quickstart trains and evaluates, and {' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not installed",
            code=Exit.TOOL_MISSING,
            state="nothing was written",
            next='pip install "ckgit[run]"',
        )


def _make_lab(guide: Guide, folder: Path) -> Lab | None:
    """The lab; None where a dry run made none."""
    if (folder / "ckgit.toml").exists():
        guide.say(f"Going on with the lab in {folder}.")
        return open_lab(folder)
    if folder.exists() and any(folder.iterdir()):
        raise CkgitError(
            "the folder is neither empty nor a lab", where=str(folder), code=Exit.USAGE, next="name another one: ckgit quickstart FOLDER"
        )
    if _has_identity(folder):
        guide.ckgit("init", folder, "--slots", "2")
    else:
        _init_without_identity(guide, folder)
    return None if guide.dry_run else open_lab(folder)


def _has_identity(folder: Path) -> bool:
    """Whether commits in a new repository would have an author. Asked outside of any repository, whose own settings do not count."""
    try:
        git(Path(folder.resolve().anchor), "-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT")
    except GitError:
        return False
    return True


def _init_without_identity(guide: Guide, folder: Path) -> None:
    """A user who never told git a name gets one for this lab alone."""
    guide.say(f"git knows no user.name and user.email: in this lab alone, commits are by {IDENTITY['name']} <{IDENTITY['email']}>.")
    names = {f"GIT_{role}_{field.upper()}": value for role in ("AUTHOR", "COMMITTER") for field, value in IDENTITY.items()}
    guide.ckgit("init", folder, "--slots", "2", environment=names)
    if not guide.dry_run:
        for field, value in IDENTITY.items():
            git(folder, "config", "--local", f"user.{field}", value)


def _make_model(guide: Guide, example: Example, folder: Path, cache: Path) -> None:
    """The model in the cache, where it appears whole or not at all, and its card in the lab."""
    made = cache.resolve() / example.model
    if not made.exists():
        guide.say(f"\nFirst, {example.making}; it is kept in {made} for the next time.")
        guide.make(example.maker, made)
    guide.ckgit("-C", folder, "models", "add", example.model, made)


def _ending(guide: Guide, example: Example, folder: Path) -> None:
    guide.ckgit("-C", folder, "log", example.experiment)
    guide.ckgit("-C", folder, "show", example.experiment)
    if guide.dry_run:
        return
    report = folder / ".ckgit" / "reports" / example.experiment / "report.md"
    _export_report(open_lab(folder), example.experiment, report.parent)
    ckgit = shlex.join([program(), "-C", str(folder)])
    guide.say(f"\nThe report: {report}")
    guide.say("\nTry next:")
    guide.say(f"  {ckgit} design mine --like {example.experiment} --set controls.lr=1e-3")
    guide.say(f"  {ckgit} advance mine --to analyzed")
    guide.say(f"  {ckgit} show mine")


def program() -> str:
    """How the user can call this ckgit: by its name where that finds it, otherwise by its path."""
    own = Path(sys.executable).with_name("ckgit")
    found = shutil.which("ckgit")
    return "ckgit" if found and Path(found).resolve() == own.resolve() else os.path.relpath(own)


def _export_report(lab: Lab, name: str, folder: Path) -> None:
    """A copy of the branch's report for readers; ignored by git, like all under .ckgit."""
    snapshot = take_snapshot(lab, name)
    prefix = f"experiments/{name}/analysis/"
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in snapshot.read_many(snapshot.list(prefix)).items():
        (folder / path.removeprefix(prefix)).write_bytes(content)

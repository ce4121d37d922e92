"""`ckgit hooks`: what git asks before it commits or pushes."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ckgit.cli.output.streams import say
from ckgit.cli.shared.common import emit, json_option, note
from ckgit.errors import Exit
from ckgit.formats.advice import commands
from ckgit.formats.listing import plural
from ckgit.lab.hooks.folder import NAMES

if TYPE_CHECKING:
    from ckgit.experiment.outputs.findings import Finding
    from ckgit.experiment.outputs.labs import HooksDocument
    from ckgit.lab.hooks.folder import HooksFolder
    from ckgit.lab.hooks.install import InstalledHook

_READING = ("pre-push", "pre-receive", "post-receive")  # hooks that git tells on standard input what they are about
_CONDITIONS = {"installed": "installed", "absent": "not installed", "changed": "changed by hand, or of another ckgit, and left so"}


@click.group("hooks")
def command() -> None:
    """Have git check experiments before it commits or pushes.

    Hooks only look at what is about to be committed or pushed, and say what to do; `git commit --no-verify` goes past them.
    """


@command.command("install")
@click.pass_context
def install_(ctx: click.Context) -> None:
    """Put ckgit's hooks into this repository, for all its worktrees.

    A hook that is there already is kept as NAME.before-ckgit, and runs first. Nothing is written into a folder that others share or
    that git tracks; then the lines are named that belong there. A bare repository, as on a server, gets pre-receive and
    post-receive, others the rest.
    """
    from ckgit.lab.hooks.install import install

    folder = _folder(ctx)
    say(_text(folder, install(folder)))


@command.command("uninstall")
@click.pass_context
def uninstall_(ctx: click.Context) -> None:
    """Take ckgit's hooks away again, and bring back those that were there before."""
    from ckgit.lab.hooks.install import uninstall

    say("\n".join(uninstall(_folder(ctx)) or ["no hook of ckgit's is installed; there is nothing to do"]))


@command.command("status")
@json_option
@click.pass_context
def status_(ctx: click.Context, *, as_json: bool) -> None:
    """Show which of ckgit's hooks this repository has."""
    from ckgit.lab.hooks.install import installed

    folder = _folder(ctx)
    found = installed(folder)
    advice = _advice(found)
    emit(lambda: _document(folder, found, advice), as_json, _text(folder, found))
    if advice and not as_json:
        note(f"next: {advice}")


@command.command("print")
@click.argument("name", type=click.Choice(NAMES))
def print_(name: str) -> None:
    """Print the hook NAME, for a repository that ckgit cannot write into.

    On a lab's server: `ckgit hooks print pre-receive >lab.git/hooks/pre-receive`, and make it executable; likewise post-receive.
    """
    from ckgit.lab.hooks.install import shim

    say(shim(name).decode(), nl=False)


@command.command("run", context_settings={"ignore_unknown_options": True})
@click.argument("name", type=click.Choice(NAMES))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def run_(ctx: click.Context, name: str, arguments: tuple[str, ...]) -> int:
    """Check what the hook NAME is asked about; the installed hooks call this, with what git gives to them.

    It says nothing where there is nothing to say, and ends with 1 where git must not go on.
    """
    from ckgit.orchestrators.review.hooks.run import HookCall, run_hook

    place = ctx.obj if isinstance(ctx.obj, Path) else Path()
    found = run_hook(name, HookCall(place, arguments, sys.stdin.buffer.read() if name in _READING else b"", note))
    errors = sum(finding.severity == "error" for finding in found)
    for text in _told(found):
        note(text)
    if errors:
        note(f"ckgit: {plural(errors, 'error')}; nothing was {'pushed' if name in _READING else 'committed'}")
    return int(Exit.GIT_STOPS if errors else Exit.DONE)


def _told(found: Sequence[Finding]) -> Iterator[str]:
    """Each finding, and below the last of those with the same advice what to do."""
    for finding, after in itertools.zip_longest(found, found[1:]):
        yield str(finding)
        if finding.advice and (after is None or after.advice != finding.advice):
            yield f"  {finding.advice}"


def _folder(ctx: click.Context) -> HooksFolder:
    from ckgit.lab.hooks.folder import hooks_folder

    return hooks_folder(ctx.obj if isinstance(ctx.obj, Path) else Path())


def _text(folder: HooksFolder, found: Sequence[InstalledHook]) -> str:
    return "\n".join([f"hooks in {folder.used}:", *(f"  {hook.name}: {_words(hook)}" for hook in found)])


def _words(hook: InstalledHook) -> str:
    text = _CONDITIONS[hook.condition]
    if hook.other:
        return f"{text}; there is another one"
    return f"{text}; {hook.before.name} runs first" if hook.before else text


def _advice(found: Sequence[InstalledHook]) -> str:
    if any(hook.condition == "absent" for hook in found):
        return "ckgit hooks install"
    changed = [str(hook.file) for hook in found if hook.condition == "changed"]
    return f"move {', '.join(changed)} away, then ckgit hooks install" if changed else ""


def _document(folder: HooksFolder, found: Sequence[InstalledHook], advice: str) -> HooksDocument:
    from ckgit.experiment.outputs.labs import HooksDocument, ListedHook

    hooks = tuple(
        ListedHook(hook=each.name, installed=each.condition, path=str(each.file), before=str(each.before) if each.before else None)
        for each in found
    )
    return HooksDocument(folder=str(folder.used), own=folder.own, hooks=hooks, advice=advice, next=tuple(commands(advice)))

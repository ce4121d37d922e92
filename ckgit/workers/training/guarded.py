"""The part of a training job that may refuse its inputs: its exit codes, with words for whoever reads the job's output."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import click

from ckgit.formats.rows import DataError
from ckgit.jobs.script import INPUTS_CHANGED
from ckgit.workers.digests import changed
from ckgit.workers.rendering import RenderError
from ckgit.workers.training.outputs.codes import ROWS_REFUSED, TOKENS_DIFFER
from ckgit.workers.training.tokens import PromptsDifferError


def guarded(step: Callable[[], None], large: Mapping[str, str]) -> int:
    """The exit code of a step: 0, or why it refuses what it was given.

    Args:
        large: SHA-256 of files that the job's script has checked by their size alone, by path.
    """
    if _refuse_changed(large):
        return INPUTS_CHANGED
    try:
        step()
    except PromptsDifferError as difference:
        click.echo(f"ckgit: tokens differ: {difference}", err=True)
        return TOKENS_DIFFER
    except (RenderError, DataError) as refusal:
        lines = str(refusal).splitlines()
        if len(lines) > 1:
            click.echo(str(refusal), err=True)
        click.echo(f"ckgit: {' '.join(line.strip() for line in lines)}", err=True)  # who explains the job's end reads one line
        return ROWS_REFUSED
    return 0


def _refuse_changed(files: Mapping[str, str]) -> bool:
    """Whether a file has another SHA-256, which is said; all of them are read, as they will be for training."""
    if lines := changed(files):
        click.echo("\n".join(lines), err=True)
        click.echo("ckgit: an input is missing or has changed since it was scaffolded", err=True)
    return bool(lines)

"""The command of an evaluation job: inspect evaluates its cells after each other, in one process that loads a checkpoint once.

`python -m ckgit.workers.inspect_ai.evaluate CELL.yaml...`, at the top of a work tree. First the files of the model are held
against what was recorded of them: for a checkpoint by training, otherwise in `--file=NAME=SHA256`, one for each. Each cell is what
`inspect eval --run-config CELL.yaml` makes of it, by that very command; the file is given with the attempt's token and the digests of the
model's files beside what it says of itself, which inspect writes into the log. inspect names its logs by time, and its exit code is 0
whatever became of an evaluation: a log gets its final name here, and one that is not a complete evaluation fails the job, after all
other cells. A cell whose log is complete already, because an earlier attempt at this job came so far, stays as it is; a log that is
not is kept under another name, and its cell is evaluated again. What complete is, `logs.read_log` says, as it does to the judge.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, NamedTuple

import click

from ckgit.experiment.card import FileDigest, folder_digest
from ckgit.experiment.jobs import FailureClass
from ckgit.jobs.script import BY_HAND, INPUTS_CHANGED
from ckgit.workers.digests import digests_once, parse_file_options
from ckgit.workers.inspect_ai import weights
from ckgit.workers.inspect_ai.cells import attempts_of, log_of
from ckgit.workers.inspect_ai.codes import MARK, NO_LOG, NOT_SUCCESS, TOKENS_DIFFER, RefusedLogError
from ckgit.workers.inspect_ai.isolation import pin
from ckgit.workers.inspect_ai.logs.reader import read_log, token_of
from ckgit.workers.inspect_ai.prompts import filled
from ckgit.workers.inspect_ai.run_config import LOADED, MADE_BY, MADE_OF, ExpectedLog


class CellEnd(NamedTuple):
    """How the evaluation of a cell ended."""

    code: int  # 0 for success
    why: str = ""


def main(words: Sequence[str]) -> int:
    """Evaluate each cell; the job's exit code, which is that of the first failure, or of different tokens where there are any."""
    pin()
    configs, of_card = parse_file_options(words)
    if not all(_is_as_recorded(folder, of_card) for folder in dict.fromkeys(map(_model_folder, configs))):
        return INPUTS_CHANGED
    failed: list[CellEnd] = []
    for number, config in enumerate(configs, start=1):
        if len(configs) > 1:
            click.echo(f"== evaluation {number} of {len(configs)}: {config}")
        if _is_done(config):
            click.echo(f"{log_of(config)} is complete: it is not evaluated again")
            continue
        end = _evaluate(config)
        cell = f"{Path(config).stem}: " if len(configs) > 1 else ""
        failed += [CellEnd(end.code, f"{cell}{end.why}")] if end.code else []
    failed.sort(key=lambda end: end.code != TOKENS_DIFFER)
    for end in reversed(failed):  # who explains the job's end reads its last word
        click.echo(f"ckgit: {end.why}", err=True)
    return failed[0].code if failed else 0


def _model_folder(config: str) -> Path:
    import yaml  # as inspect reads it

    return Path(yaml.safe_load(Path(config).read_bytes())["model"]["args"]["model_path"])


def _is_as_recorded(folder: Path, of_card: Mapping[str, str]) -> bool:
    """Whether the files of a model folder are as recorded; those that are not are named."""
    try:
        names = list(weights.changed(folder, of_card))
    except ValueError as error:
        names = [f"{folder}: FAILED ({error})"]
    if names:
        click.echo("\n".join(names), err=True)
        click.echo(f"ckgit: what is to be evaluated has changed ({weights.advice(folder.as_posix())})", err=True)
    return not names


def _evaluate(config: str) -> CellEnd:
    folder = attempts_of(config)
    try:
        asked = _asked(config)
    except ValueError as error:
        return CellEnd(NOT_SUCCESS, str(error))
    code = _inspect(
        *("eval", "--run-config", asked),
        *("--log-dir", folder, "--log-format", "eval", "--display", "plain", "--ctl-server", "false"),
    )
    if code:
        return CellEnd(code, f"inspect ended with exit code {code} for {config}")
    return finish(wanted_of(config), Path(folder), Path(log_of(config)))


def _asked(config: str) -> str:
    """The run config that inspect is given: a copy of the cell's own that says more, see `with_origin`; one of an older ckgit as it is.

    Raises:
        ValueError: prompts come from a preparation, which left none.
    """
    import yaml  # as inspect reads it

    document = yaml.safe_load(Path(config).read_bytes())
    if MADE_OF not in document.get("metadata", {}):
        return config
    copy = Path(config).with_suffix(".asked.yaml")
    told = with_origin(document, digests_once(_model_folder(config)), os.environ.get("CKGIT_JOB", ""))
    copy.write_text(yaml.safe_dump(told, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return str(copy)


def with_origin(document: Mapping[str, Any], files: Mapping[str, FileDigest], token: str) -> Mapping[str, Any]:
    """A run config with what only the job knows: its token, the files of the model, and the prompts that a preparation left.

    Args:
        token: empty where a container hides the job's environment.

    Raises:
        ValueError: prompts come from a preparation, which left none.
    """
    metadata = document["metadata"]
    known: dict[str, Any] = {LOADED: {name: file.model_dump(mode="json") for name, file in sorted(files.items())}}
    known |= {MADE_BY: token} if token else {}
    return {**filled(document), "metadata": {**metadata, MADE_OF: {**metadata[MADE_OF], **known}}}


def _inspect(*words: str) -> int:
    """Call inspect's command line; its exit code."""
    (script,) = distribution("inspect-ai").entry_points.select(group="console_scripts", name="inspect")
    sys.argv = ["inspect", *words]
    try:
        script.load()()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:  # noqa: BLE001 - the other cells are evaluated nevertheless
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def finish(wanted: ExpectedLog, folder: Path, log: Path) -> CellEnd:
    """Give the newest log of a folder its final name, and judge it."""
    written = sorted(folder.glob("*.eval"), key=lambda path: path.stat().st_mtime_ns)
    if not written:
        return CellEnd(NO_LOG, f"inspect wrote no log to {folder}")
    written[-1].replace(log)
    if not any(folder.iterdir()):
        folder.rmdir()
    try:
        read_log(wanted, log)
    except RefusedLogError as error:
        return CellEnd(TOKENS_DIFFER if error.failure is FailureClass.TOKENS_DIFFER else NOT_SUCCESS, str(error))
    return CellEnd(0)


def wanted_of(config: str) -> ExpectedLog:
    """What the log of a cell has to be, from its run config, its data and its model.

    Raises:
        OSError, DataError: a file of them cannot be read.
    """
    import yaml  # as inspect reads it

    from ckgit.workers.inspect_ai.model_api.parity import read_rows

    document = filled(yaml.safe_load(Path(config).read_bytes()))
    rows = document["model"]["args"].get("rows")
    source = Path(document["task"]["task"].rpartition("@")[0]).read_bytes()
    files = digests_once(_model_folder(config))  # they are as recorded, where that was done: see `main`
    return ExpectedLog(document, len(read_rows(rows)) if rows else None, source, folder_digest(files))


def _is_done(config: str) -> bool:
    """Whether a cell needs no evaluation. A log that an earlier attempt left, and that does not count, is set aside."""
    log = Path(log_of(config))
    if not log.exists():
        return False
    try:
        made_by = token_of(read_log(wanted_of(config), log).header) or ""
    except RefusedLogError as error:
        why = str(error).replace(MARK, "tokens differ")  # the mark says why this attempt failed
    else:
        if not made_by.startswith(BY_HAND) or os.environ.get("CKGIT_JOB", "").startswith(BY_HAND):
            return True
        why = "it was made by hand, and not by an attempt"
    click.echo(f"{log} does not count: {why}; it is kept as {set_aside(log).name}, and the cell is evaluated again")
    return False


def set_aside(log: Path) -> Path:
    """Give a log that does not count a name that no other one has."""
    aside = next(path for number in itertools.count(1) if not (path := log.with_name(f"{log.stem}.refused{number}.eval")).exists())
    return log.rename(aside)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Which files a job reads the rows of a design's data set from. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ckgit.experiment.design.model import Summary
from ckgit.formats.rows.source import SUFFIX


def source_path(experiment: str, name: str) -> str:
    """Where a data set's `.rows` file is in the lab."""
    return f"experiments/{experiment}/data/{name}{SUFFIX}"


def made_path(experiment: str, name: str) -> str:
    """Where the rows are in the lab that a data set's generator made."""
    return f"experiments/{experiment}/data/{name}.json"


def paths_of(summary: Summary, name: str) -> tuple[str, ...]:
    """A data set's own paths, or where its made rows are."""
    return summary.data[name].paths or (made_path(summary.experiment.name, name),)


def read_from(summary: Summary, name: str) -> str:
    """What a job is told to read a data set from: its `.rows` file, or its one file."""
    recorded = summary.recorded.data.get(name)
    return source_path(summary.experiment.name, name) if recorded and recorded.source else paths_of(summary, name)[0]


def columns(summary: Summary, name: str) -> Mapping[str, str]:
    """What a job is told of columns: nothing that the `.rows` file says."""
    recorded, data = summary.recorded.data.get(name), summary.data[name]
    told = recorded is not None and recorded.source is not None
    return {"input_column": "input" if told else data.input_column, "output_column": "output" if told else data.output_column}


def files_of(summary: Summary, name: str) -> dict[str, str]:
    """SHA-256 of every file that a job reads a measured data set from, by path."""
    recorded = summary.recorded.data[name]
    files = dict(recorded.files) or {paths_of(summary, name)[0]: recorded.sha256}
    return {source_path(summary.experiment.name, name): recorded.source, **files} if recorded.source else files


def data_files(summary: Summary, name: str) -> dict[str, str | None]:
    """The same of a data set that may not be measured; the digest is None where nothing tells it."""
    recorded, data = summary.recorded.data.get(name), summary.data[name]
    if recorded is None:
        return dict.fromkeys(paths_of(summary, name), data.sha256)
    own = {} if recorded.files or data.sha256 is None else {paths_of(summary, name)[0]: data.sha256}
    code = {data.generator.file: recorded.generator} if data.generator else {}
    return {**files_of(summary, name), **own, **code}

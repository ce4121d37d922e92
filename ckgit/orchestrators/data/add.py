"""data add: a file, a saved folder or a data set of the hub comes into the lab, or where the cluster keeps data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.data import DataSet
from ckgit.experiment.design.names import name_problem
from ckgit.formats.markdown import size
from ckgit.formats.rows import DataError, Shape
from ckgit.formats.yaml.text import write_yaml
from ckgit.lab.lab import Lab
from ckgit.lab.models.add_files import by_hand, commit_files
from ckgit.orchestrators.data.find import FoundFiles, ReadData, read

LARGE = 20_000_000  # bytes that git should not keep of one data set
FOLDER = "data"


class Fetched(NamedTuple):
    """What of the hub is wanted."""

    config: str | None = None
    split: str | None = None
    revision: str | None = None


class AddedData(NamedTuple):
    """What adding a data set did, or would do."""

    name: str
    files: Mapping[str, int]  # bytes by path, in the lab or under data_root
    sha256: str
    found: ReadData
    design: str  # what to write into a design
    commit: str  # the new commit; empty when none was made
    next: str  # what is left for the user to do; empty for nothing


def add_data(lab: Lab, source: str, name: str | None, fetched: Fetched, *, outside: bool, commit: bool, dry_run: bool) -> AddedData:
    """Bring a data set in, read it, and say what to write into a design.

    Args:
        source: a file, or a folder that `save_to_disk` wrote; otherwise the name of a data set on the hub.
        name: what it is called in the lab; made of the source where it is None.
        outside: put it under the cluster's data_root, where git does not keep it.

    Raises:
        CkgitError: USAGE, it is no data set, another one has the name, it is too large for git, or there is no data_root;
            TOOL_MISSING or COMMAND_FAILED, it cannot be fetched or written.
    """
    called = name or _called(source)
    if problem := name_problem(called):
        raise _refused(f"{called!r} is not a name for a data set: {problem}", "choose one: --name NAME")
    files = _brought(source, called, fetched)
    data = _data_set(called, files, split=fetched.split)
    try:
        found = read(files, data)
    except DataError as error:
        raise _refused(f"{source}: {error}", "docs/your-data.md has each form that is read") from None
    root = _root(lab, files, outside=outside)
    _refuse_others(root, files)
    told = {"sha256": files.sha256} if outside else {}
    unsaid = {} if found.is_known else dict(zip(("input_column", "output_column"), [*found.columns, *found.columns][:2], strict=False))
    shape = {"shape": found.shape} if found.shape and found.shape is not Shape.COLUMNS else {}
    data = data.model_copy(update={**told, **unsaid, **shape})
    design = write_yaml({"data": {called: data.model_dump(mode="json", exclude_defaults=True)}})
    sizes = {path: len(content) for path, content in files.contents.items()}
    added = AddedData(called, sizes, files.sha256, found, design, "", "")
    if dry_run:
        return added
    _write(root, files.contents)
    message = f"Add data {called}"
    made, left = commit_files(lab, files.contents, message) if commit and not outside else ("", "" if outside else by_hand(sizes, message))
    return added._replace(commit=made, next=left)


def _called(source: str) -> str:
    return Path(source).stem.replace(".", "_")


def _brought(source: str, name: str, fetched: Fetched) -> FoundFiles:
    """The bytes of a source, by their paths in the lab."""
    path = Path(source)
    try:
        if path.is_file():
            return FoundFiles({f"{FOLDER}/{name}{path.suffix}": path.read_bytes()})
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.is_file())
            contents = {f"{FOLDER}/{name}/{file.relative_to(path).as_posix()}": file.read_bytes() for file in inside}
            return FoundFiles(contents, f"{FOLDER}/{name}")
    except OSError as error:
        raise _refused(f"{source} cannot be read: {error.strerror}", "mend its permissions, or copy it first") from None
    if path.suffix or source.startswith((".", "/", "~")):
        raise _refused(f"there is no file {source}", "name a file, a folder, or a data set of the hub as org/name")
    from ckgit.workers.hub import fetch

    splits = fetch(source, config=fetched.config, split=fetched.split, revision=fetched.revision)
    return FoundFiles({f"{FOLDER}/{name}/{split}.parquet": content for split, content in splits.items()})


def _data_set(name: str, files: FoundFiles, *, split: str | None) -> DataSet:
    """What a design says of these files."""
    if files.folder:
        return DataSet.model_construct(path=files.folder)
    paths = list(files.contents)
    if len(paths) == 1 and split is None and not paths[0].startswith(f"{FOLDER}/{name}/"):
        return DataSet.model_construct(path=paths[0])
    return DataSet.model_construct(files={Path(path).stem: path for path in paths})


def _root(lab: Lab, files: FoundFiles, *, outside: bool) -> Path:
    total = sum(map(len, files.contents.values()))
    if outside:
        if not lab.cluster().data_root:
            raise _refused("the cluster's profile has no data_root", "write data_root = FOLDER under the cluster in ckgit.toml")
        return lab.folder(lab.cluster().data_root)
    if total > LARGE:
        what = f"it has {size(total)}, and git keeps every version of a file for ever: more than {size(LARGE)} are not committed"
        raise _refused(what, "run the same command with --outside, which puts it under the cluster's data_root")
    return lab.root


def _refuse_others(root: Path, files: FoundFiles) -> None:
    for path, content in files.contents.items():
        if (root / path).exists() and (root / path).read_bytes() != content:
            raise _refused(f"there is another {path}", "choose another name: --name NAME")


def _write(root: Path, contents: Mapping[str, bytes]) -> None:
    try:
        for path, content in contents.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
    except OSError as error:
        what = f"{error.filename} cannot be written: {error.strerror}"
        state = "some files may have been written"
        raise CkgitError(what, code=Exit.COMMAND_FAILED, state=state, next="make room, then run it again") from None


def _refused(what: str, onward: str) -> CkgitError:
    return CkgitError(what, code=Exit.USAGE, state="nothing was written", next=onward)

"""Reading ckgit.toml, and the user's own clusters over it; what is not to come into committed scripts stays apart."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.names import DEFAULT_WORK_ROOT
from ckgit.formats.listing import choose, nearest
from ckgit.lab.user_folders import user_folder

if TYPE_CHECKING:
    from ckgit.experiment.cluster import LabConfig

_OWN_KEYS = ("clusters", "default_cluster")


def read_config(content: bytes, file: str) -> LabConfig:
    """The configuration in `content`, with the user's own clusters added or laid over; see `Cluster.own`.

    Args:
        content: bytes of ckgit.toml.
        file: what messages call it.

    Raises:
        CkgitError: USAGE, with the file and each key that is wrong.
    """
    document = _load(content, file)
    config = _validate(document, file)
    own = _read_own()
    return _own_apart(_validate(_with_own(document, *own), own[1]), config, own[1]) if own else config


class Roots(NamedTuple):
    """Where a lab's work trees are."""

    lab: str  # the lab's name, a part of their paths
    work_roots: dict[str, str]  # by cluster profile, as written


def read_roots(content: bytes, file: str) -> Roots:
    """Where work trees are, without the models that check a configuration: `status` and `list` look there each time.

    Raises:
        CkgitError: USAGE, a file is not TOML, or cannot be read.
    """
    own = _read_own()
    document = _load(content, file)
    document = _with_own(document, *own) if own else document
    clusters = document.get("clusters", {"local": {}})
    profiles = {name: values for name, values in (clusters.items() if isinstance(clusters, dict) else ()) if isinstance(values, dict)}
    return Roots(str(document.get("name", "")), {name: str(each.get("work_root", DEFAULT_WORK_ROOT)) for name, each in profiles.items()})


def _with_own(document: Mapping[str, Any], content: bytes, file: str) -> dict[str, Any]:
    """The lab's configuration with what the user's own adds to it, or lays over it."""
    added = _load(content, file)
    if unknown := [key for key in added if key not in _OWN_KEYS]:
        raise _error(file, [f"{unknown[0]}: only {' and '.join(_OWN_KEYS)} may stand here"])
    profiles = added.get("clusters", {})
    if not isinstance(profiles, dict):
        raise _error(file, ["clusters: profiles are written as [clusters.NAME]"])
    given = document.get("clusters", {"local": {}})
    clusters = dict(given) if isinstance(given, dict) else {}
    for name, values in profiles.items():
        clusters[name] = {**clusters.get(name, {}), **values} if isinstance(values, dict) else values
    return {**document, **added, "clusters": clusters}


def _own_apart(laid_over: LabConfig, lab: LabConfig, file: str) -> LabConfig:
    from ckgit.experiment.cluster import Cluster

    nothing = Cluster()
    clusters = {name: each.with_own_apart(lab.clusters.get(name, nothing), file) for name, each in laid_over.clusters.items()}
    return laid_over.model_copy(update={"clusters": clusters})


def _read_own() -> tuple[bytes, str] | None:
    """The user's own configuration, which need not exist, and its name."""
    folder = user_folder("XDG_CONFIG_HOME")
    if not folder:
        return None
    file = folder / "config.toml"
    try:
        return file.read_bytes(), str(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _error(str(file), [f"it cannot be read: {error.strerror}"]) from None


def _load(content: bytes, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise _error(file, [f"not TOML: {error}"]) from None


def _validate(document: dict[str, Any], file: str) -> LabConfig:
    from pydantic import ValidationError

    from ckgit.experiment.cluster import LabConfig

    try:
        config = LabConfig.model_validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        raise _error(file, [_sentence(problem) for problem in error.errors()]) from None
    if config.schema_version != 1:
        what = f"schema_version {config.schema_version} is not known to this ckgit"
        raise CkgitError(what, code=Exit.USAGE, where=file, next="upgrade ckgit")
    if config.default_cluster not in config.clusters:
        known = choose(config.default_cluster, sorted(config.clusters), of="profiles")
        raise _error(file, [f"default_cluster: there is no profile {config.default_cluster!r} ({known})"])
    return config


def _error(file: str, sentences: list[str]) -> CkgitError:
    mend = f"mend {file} and commit it" if file.endswith("ckgit.toml") else f"mend {file}"  # the user's own is in no repository
    return CkgitError("; ".join(sentences), code=Exit.USAGE, where=file, state="nothing was done", next=mend)


def _sentence(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"] if part != "[key]")
    if problem["type"] != "extra_forbidden":
        return f"{place}: {problem['msg'].removeprefix('Value error, ')}"
    from ckgit.experiment.cluster import Cluster, LabConfig, ReviewConfig, SignatureConfig
    from ckgit.experiment.design.fields import Frozen

    tables: dict[str, type[Frozen]] = {"clusters": Cluster, "review": ReviewConfig, "signatures": SignatureConfig}
    known = list((tables.get(problem["loc"][0], LabConfig) if len(problem["loc"]) > 1 else LabConfig).model_fields)
    near = nearest(str(problem["loc"][-1]), known)
    return f"{place}: no such key" + (f"; did you mean {near}?" if near else f" (keys: {', '.join(known)})")

"""Is the lab fit: its configuration, clusters, hooks, authority, disks, models."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ckgit.formats.listing import plural
from ckgit.formats.markdown import size
from ckgit.lab.hooks.folder import hooks_folder
from ckgit.lab.hooks.install import installed
from ckgit.lab.lab import Lab
from ckgit.lab.models.cards import list_models
from ckgit.lab.remotes.query import NotReachedError, remote_tips
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.upkeep.doctor.point import Point, error, warning
from ckgit.schedulers.slurm.health import health

_LITTLE, _TOO_LITTLE = 10_000_000_000, 1_000_000_000  # bytes free


def configuration(lab: Lab) -> Iterator[Point]:
    """ckgit.toml can be read, and each profile's scheduler is there."""
    profiles = {name: each.scheduler for name, each in lab.config.clusters.items()}
    yield Point(f"lab {lab.config.name}: " + ", ".join(f"{name} ({scheduler})" for name, scheduler in profiles.items()))
    for cluster in lab.config.clusters.values():
        scheduler_for(cluster)
    if told := lab.config_warning():
        yield warning(told, f"commit it on branch {lab.default_branch}")


def slurm(lab: Lab) -> Iterator[Point]:
    """SLURM of each profile that names it."""
    profiles = {name: each for name, each in lab.config.clusters.items() if each.scheduler == "slurm"}
    if not profiles:
        yield Point("no profile names it")
    for name, cluster in profiles.items():
        for answer in health(cluster):
            if not answer.fault:
                yield Point(f"{name}: {answer.what}")
            else:
                yield (error if answer.serious else warning)(f"{name}: {answer.what}: {answer.fault}", answer.mend)


def hooks(lab: Lab) -> Iterator[Point]:
    """Ckgit's hooks are there, and of this ckgit."""
    folder = hooks_folder(lab.root)
    found = installed(folder)
    changed = [hook.name for hook in found if hook.condition == "changed"]
    absent = [hook.name for hook in found if hook.condition == "absent"]
    if changed:
        again = "ckgit hooks status names the files; move them away, then: ckgit hooks install"
        yield warning(f"changed by hand, or of another ckgit: {', '.join(changed)}", again)
    if absent:
        yield warning(f"not installed: {', '.join(absent)}; a commit by hand is not checked", "ckgit hooks install")
    if not changed and not absent:
        yield Point(f"{len(found)} hooks are installed, as this ckgit has them")


def authority(lab: Lab) -> Iterator[Point]:
    """The remote that decides answers."""
    remote = lab.config.authority
    if not remote:
        yield Point("none is named: nobody else takes this lab's experiments on")
        return
    try:
        tips = remote_tips(lab, remote, f"refs/heads/{lab.default_branch}")
    except NotReachedError as failed:
        yield error(failed.what, failed.next)
        return
    if tips:
        yield Point(f"{remote} answers")
    else:
        yield warning(f"{remote} answers, and has no branch {lab.default_branch}", f"git push {remote} {lab.default_branch}")


def disk(lab: Lab) -> Iterator[Point]:
    """Room and permission where work trees are, and in the repository."""
    roots = {f"work root of {name}": lab.folder(each.work_root) for name, each in lab.config.clusters.items()}
    for what, folder in {**roots, "repository": lab.git_dir}.items():
        there = next(each for each in (folder, *folder.parents) if each.exists())
        yield _room(f"{what} ({folder})", there)


def _room(what: str, folder: Path) -> Point:
    if not os.access(folder, os.W_OK):
        return error(f"{what}: you cannot write to {folder}", "mend its permissions, or name another folder as work_root in ckgit.toml")
    free = shutil.disk_usage(folder).free
    if free < _LITTLE:
        return (error if free < _TOO_LITTLE else warning)(f"{what}: {size(free)} are free", "look at what may go: ckgit clean")
    return Point(f"{what}: {size(free)} are free")


def models(lab: Lab) -> Iterator[Point]:
    """The folder of each model card is where it was."""
    cards = list_models(lab)
    gone = [each for each in cards if each.folder is None]
    for each in gone:
        yield warning(each.problem, f"ckgit models add {each.card.name} PATH, with the folder that has them now")
    if not gone:
        yield Point(f"{plural(len(cards), 'model card')}, each with its folder" if cards else "no model card yet")

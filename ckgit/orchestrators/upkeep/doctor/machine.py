"""Is this machine fit: git, Python, the packages of ckgit[run] and of each trainer, a GPU."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from ckgit import __version__
from ckgit.errors import CkgitError
from ckgit.experiment.tools.schemas import preparation_tools
from ckgit.experiment.tools.workers import find_preparation
from ckgit.lab.experiments import list_experiments
from ckgit.lab.git.branch import author, no_identity
from ckgit.lab.git.command import git_text
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.upkeep.doctor.point import Point, error
from ckgit.workers.environment import excluded_versions, wanted_versions
from ckgit.workers.training.worker import TrainingWorker

_LEAST_GIT = (2, 36)
_LEAST_PYTHON = (3, 11)
_RUN = 'pip install "ckgit[run]"'
_ASK_TORCH = "import torch; print(torch.__version__, torch.version.cuda or 'none', torch.cuda.device_count())"


def git_there(lab: Lab) -> Iterator[Point]:
    """Its version, and whether it knows who works here."""
    told = git_text(lab.root, "--version")
    found = re.search(r"(\d+)\.(\d+)", told)
    if found and (int(found[1]), int(found[2])) < _LEAST_GIT:
        yield error(f"{told} is too old", f"install git {'.'.join(map(str, _LEAST_GIT))} or newer")
    else:
        yield Point(told)
    if who := author(lab.root):
        yield Point(f"commits are by {who}")
    else:
        unknown = no_identity()
        yield error(unknown.what, unknown.next)


def python_there(lab: Lab) -> Iterator[Point]:  # noqa: ARG001 - as all checks
    """Its version, and that of ckgit."""
    told = f"Python {sys.version.split()[0]} in {sys.prefix}, ckgit {__version__}"
    fit = sys.version_info[:2] >= _LEAST_PYTHON
    yield Point(told) if fit else error(f"{told} is too old", f"install ckgit with Python {'.'.join(map(str, _LEAST_PYTHON))} or newer")


def versions(lab: Lab) -> Iterator[Point]:
    """Packages of ckgit[run] against its pins. Jobs of a profile with set-up lines or a container bring their own."""
    wanted = wanted_versions()
    found = {name: _installed(name) for name in wanted}
    lacking = [name for name, there in found.items() if not there]
    wrong = [f"{name} is {there}, and ckgit[run] wants {wanted[name]}" for name, there in found.items() if there and not _fits(name, there)]
    here = _with_this_python(lab)
    for text in wrong:
        yield error(text, _RUN)
    if lacking and here:
        yield error(f"jobs of profile {', '.join(here)} run with this Python, which lacks {', '.join(sorted(lacking))}", _RUN)
    elif lacking:
        yield Point(f"a light installation: {len(lacking)} of {len(wanted)} packages of ckgit[run] are not here, and no profile needs them")
    elif not wrong:
        yield Point(f"all {len(wanted)} packages of ckgit[run] are here, in versions that it wants")


def trainers(lab: Lab) -> Iterator[Point]:
    """What can train here. One that is not there is an error where an open experiment names it, and jobs run with this Python."""
    naming, here = _naming(lab), bool(_with_this_python(lab))
    for tool in preparation_tools():
        worker = find_preparation(tool)
        if not isinstance(worker, TrainingWorker):
            continue
        modules, extra = worker.needs()
        install = f'pip install "ckgit[{extra}]"'
        lacking = [module for module in modules if find_spec(module) is None]
        wrong = [f"{', '.join(lacking)} is not here"] if lacking else excluded_versions(modules, extra)
        if not wrong:
            yield Point(f"{tool} is here")
        elif here and tool in naming:
            yield error(f"{tool}, which {', '.join(naming[tool])} has, cannot train here: {'; '.join(wrong)}", install)
        else:
            yield Point(f"{tool} is not here, and no design needs it here ({'; '.join(wrong)}): {install} brings it")


def _naming(lab: Lab) -> Mapping[str, Sequence[str]]:
    """The open experiments by the tool that prepares them, as far as their summaries can be read."""
    found: dict[str, list[str]] = {}
    for row in list_experiments(lab):
        with contextlib.suppress(CkgitError):
            if not row.closing and not row.lost:
                found.setdefault(take_snapshot(lab, row.name).summary.summary.tools.preparation, []).append(row.name)
    return found


def _with_this_python(lab: Lab) -> list[str]:
    """Profiles whose jobs run with this Python."""
    return [name for name, each in lab.config.clusters.items() if each.scheduler == "local" and not each.setup and not each.container]


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _fits(name: str, there: str) -> bool:
    return wanted_versions()[name].contains(there, prereleases=True)


def gpu(lab: Lab) -> Iterator[Point]:  # noqa: ARG001 - as all checks
    """GPUs that the driver shows, and those that torch can use, which a process of its own is asked."""
    shown = _output(["nvidia-smi", "--list-gpus"]).splitlines() if shutil.which("nvidia-smi") else []
    asked = _output([sys.executable, "-c", _ASK_TORCH]).split() if _installed("torch") else []
    if shown and not asked and _installed("torch"):
        yield error("torch cannot be imported", f"{sys.executable} -c 'import torch' shows why")
    elif shown and asked and asked[-1] == "0":
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        why = f"CUDA_VISIBLE_DEVICES is {visible!r}" if visible is not None else f"torch {asked[0]} is built for CUDA {asked[1]}"
        mend = "unset CUDA_VISIBLE_DEVICES" if visible is not None else "install a torch that is built for this driver: https://pytorch.org"
        yield error(f"there are {len(shown)} GPUs, and torch sees none: {why}", mend)
    elif shown:
        usable = f"; torch sees {asked[-1]}" if asked else ""
        yield Point(f"{len(shown)} of {re.sub(r' .UUID.*', '', shown[0]).partition(': ')[2]}{usable}")
    else:
        yield Point("no GPU here: jobs on this machine compute with device: cpu")


def _output(command: list[str]) -> str:
    """What a program prints; empty where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace", stdin=subprocess.DEVNULL)
    return done.stdout.strip() if done.returncode == 0 else ""

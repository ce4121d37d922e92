"""Whether the tools of a job are there, and load.

`python -m ckgit.workers.environment --gpus=1 torch transformers` imports what is named, which takes seconds, and sees
to it that the network is not needed. It names all that is missing, or of another version than ckgit[run] asks for, and ends with exit
code 69: with other versions another thing would be measured, or a job would fail only when it comes to what they changed.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

import click
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from ckgit.jobs.script import OFFLINE, PROGRAM_MISSING, RUN

_OURS = "ckgit"


@click.command()
@click.option("--program", "programs", multiple=True, help="It must be on PATH.")
@click.option("--path", "paths", multiple=True, help="It must be there.")
@click.option("--gpus", default=0, help="So many GPUs must be usable.")
@click.option("--extra", default=RUN, help="The extra of ckgit whose versions are wanted.")
@click.argument("modules", nargs=-1)
def main(*, programs: Sequence[str], paths: Sequence[str], gpus: int, extra: str, modules: Sequence[str]) -> None:
    """Check the environment of a job."""
    end_where_unfit(programs, paths, gpus, modules, extra)
    click.echo(describe(modules, gpus))


def end_where_unfit(programs: Sequence[str], paths: Sequence[str], gpus: int, modules: Sequence[str], extra: str = RUN) -> None:
    """Import modules, and end this process with exit code 69 where a job would lack something, in one line that names it all.

    Args:
        extra: of ckgit, whose versions are wanted.
        programs: must be on PATH.
        paths: must be there.
        gpus: how many must be usable.
    """
    lacking = [*excluded_versions(modules, extra), *_modules(modules, extra)]
    others = [*(f"{path} is not there" for path in paths if not Path(path).exists()), *_programs(programs), *_network()]
    found = [*others, *lacking] or [*_gpus(gpus)]  # torch has been imported by now
    if found:
        mend = install(modules, extra) if lacking else ""
        mends = f" ({mend} there)" if mend else ""
        click.echo(f"ckgit: this job's environment is not fit{mends}: {'; '.join(found)}", err=True)
        sys.exit(PROGRAM_MISSING)


def describe(modules: Sequence[str], gpus: int) -> str:
    """What a job runs with, in a line."""
    found = [f"{module} {_version(module)}" for module in modules]
    return f"ckgit: Python {sys.version.split()[0]}, {', '.join(found)}" + (f", GPUs: {gpus}" if gpus else "")


def _programs(programs: Sequence[str]) -> Iterator[str]:
    yield from (f"{program} is not on PATH (install ckgit[run])" for program in programs if not shutil.which(program))


def _modules(modules: Sequence[str], extra: str) -> Iterator[str]:
    broken = [(module, why) for module in modules if (why := _import_problem(module))]
    yield from (f"{module} {why}" for module, why in broken)
    if broken:
        # a module that is there often fails on another one's version
        concerned = modules if any("import" in why for _, why in broken) else [module for module, _ in broken]
        for name, wanted in _by_extra(concerned, extra).items():
            each = (f"{module}{versions} (found: {_version(module) or 'none'})" for module, versions in wanted.items())
            yield f"ckgit[{name}] wants {', '.join(each)}"


def _import_problem(module: str) -> str:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        return "is not installed" if error.name == module else f"cannot be imported: {error}"
    except Exception as error:  # noqa: BLE001 - a broken installation raises anything
        return f"cannot be imported: {type(error).__name__}: {error}"
    return ""


def excluded_versions(modules: Sequence[str], extra: str = RUN) -> list[str]:
    """Of each module whose installed version an extra of ckgit excludes, both."""
    return [
        f"{module} is {is_there}, and ckgit[{name}] wants {module}{versions}"
        for name, wanted in _by_extra(modules, extra).items()
        for module, versions in wanted.items()
        if (is_there := _version(module)) and not versions.contains(is_there, prereleases=True)
    ]


def install(modules: Sequence[str], extra: str = RUN) -> str:
    """The command that installs what a job needs; empty where no extra of ckgit brings it.

    Args:
        modules: as they are imported.
        extra: that its script names; another one may bring some of the modules.
    """
    extras = ",".join(_by_extra(modules, extra))
    return extras and f'pip install "ckgit[{extras}]"'


def wanted_versions(extra: str = RUN) -> dict[str, SpecifierSet]:
    """Versions that ckgit's own package metadata ask for in jobs, e.g. `==0.6.1`, by name of the package.

    Args:
        extra: has what the extra `run` has, and what its own tools need; or several with commas.
    """
    try:
        found = map(Requirement, requires(_OURS) or ())
    except PackageNotFoundError:  # it runs from a folder
        return {}
    extras = [{"extra": name} for name in (RUN, *extra.split(","))]
    return {_key(each.name): each.specifier for each in found if each.marker and any(map(each.marker.evaluate, extras))}


def _by_extra(modules: Sequence[str], extra: str) -> dict[str, dict[str, SpecifierSet]]:
    """Modules with the versions that are wanted, by the extra that wants them: the job's, or else the smallest one that does."""
    own = wanted_versions(extra)
    found = {extra: {module: own[_key(module)] for module in modules if _key(module) in own}}
    if others := [module for module in modules if _key(module) not in own]:
        by_extra = sorted(((name, wanted_versions(name)) for name in _extras()), key=lambda pair: len(pair[1]))
        for module in others:
            for name, wanted in by_extra:
                if _key(module) in wanted:
                    found.setdefault(name, {})[module] = wanted[_key(module)]
                    break
    return {name: wanted for name, wanted in found.items() if wanted}


def _extras() -> list[str]:
    try:
        return metadata(_OURS).get_all("Provides-Extra") or []
    except PackageNotFoundError:
        return []


def _key(name: str) -> str:
    return name.replace("_", "-").lower()


def _version(module: str) -> str:
    try:
        return version(_key(module))
    except PackageNotFoundError:
        return ""


def _network() -> Iterator[str]:
    """Tools that look for a hub wait for it, or get something else than was scaffolded."""
    yield from (
        f"{name} is not 1: a container, or a launcher, does not pass the job's environment on"
        for name in OFFLINE
        if os.environ.get(name) != "1"
    )


def _gpus(wanted: int) -> Iterator[str]:
    if not wanted:
        return
    import torch

    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if seen < wanted:
        built = f"torch {torch.__version__}, " + (f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA")
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
        needs = f"device: cuda needs {wanted} GPU{'s' if wanted > 1 else ''}"
        yield f"{needs}, and {seen} can be seen ({built}; CUDA_VISIBLE_DEVICES is {visible})"
        return
    for number in range(wanted):
        try:
            torch.zeros(1, device=f"cuda:{number}")
        except RuntimeError as error:  # in another's exclusive use, broken, or full
            yield f"GPU {number} cannot be used: {str(error).splitlines()[0]}"


if __name__ == "__main__":
    main()

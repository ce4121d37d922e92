"""Whether jobs of this machine can find their tools, asked before they are submitted."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib.util import find_spec

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import Cluster
from ckgit.jobs.script import RUN


def check_installed(cluster: Cluster, modules: Sequence[str], extra: str = RUN) -> None:
    """Raise where jobs run with the Python that runs ckgit, and it lacks what they import, or has it in a version that is excluded.

    Set-up lines or a container may bring what is wanted.

    Args:
        extra: of ckgit, which brings these modules.

    Raises:
        CkgitError: TOOL_MISSING.
    """
    if cluster.scheduler != "local" or cluster.setup or cluster.own.setup or cluster.container:
        return
    from ckgit.workers.environment import install

    if lacking := [module for module in modules if not _is_there(module)]:
        what = f"jobs on this machine need {', '.join(lacking)}, which this installation of ckgit does not have"
        raise _unfit(what, install(lacking, extra))
    if excluded := _excluded(tuple(modules), extra):
        what = f"jobs on this machine would run with other versions than were tried: {'; '.join(excluded)}"
        raise _unfit(what, install(modules, extra))


def _unfit(what: str, mend: str) -> CkgitError:
    return CkgitError(
        what,
        code=Exit.TOOL_MISSING,
        state="nothing was submitted",
        next=f"{mend or 'install it'}, or name another environment in setup of the cluster profile in ckgit.toml",
    )


@functools.cache  # asked for each job
def _excluded(modules: tuple[str, ...], extra: str) -> list[str]:
    from ckgit.workers.environment import excluded_versions

    return excluded_versions(modules, extra)


@functools.cache  # likewise
def _is_there(module: str) -> bool:
    return find_spec(module) is not None

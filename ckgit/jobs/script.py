"""The job script that all workers render: claim, inputs, commands, status.

It runs at the top of a work tree, under any scheduler or by hand. The protocol (an attempt is executed once, and the
job itself says how it ended) needs bash and coreutils only, so that it holds even where Python is broken.
"""

from __future__ import annotations

import functools
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ckgit.experiment.card import FileDigest
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.model import Resources
from ckgit.jobs.directives import MEETING, directives, on_each_node
from ckgit.jobs.environment import KEPT

INPUTS_CHANGED = 65  # EX_DATAERR of sysexits.h
PROGRAM_MISSING = 69  # EX_UNAVAILABLE
RUN = "run"  # the extra of ckgit that jobs need, where their tool has no other
BY_HAND = "by-hand"  # begins the token of a job that no scheduler started
LONGEST_COMMAND = 120
# A job that is to fail must fail within seconds: as many of its files as this, the smallest first, are checked by digest before
# anything else. Of the weights of a large model, which take longer to read, this is the size; their digests are for its first command.
MOST_HASHED = 1 << 30
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
# A file of the work tree that has the name of a module is not taken for it.
_PINNED = "PYTHONUNBUFFERED=1 PYTHONHASHSEED=0 PYTHONSAFEPATH=1"

_SCRIPT = """\
#!/bin/bash
{directives}
# {title}
# By hand, from the top of the work tree: bash {script}

# Of the environment no more than this has a say; what else its tools need, the cluster profile's set-up lines export.
unset -f $(declare -F | cut -d' ' -f3)
for name in $(compgen -e); do
  case $name in
{kept}
    *) unset "$name" 2>/dev/null || export -n "$name" 2>/dev/null || : ;;
  esac
done
export LC_ALL=C.UTF-8

# One name, one execution: a second copy of this job ends here.
export CKGIT_JOB=${{CKGIT_JOB:-${{SLURM_JOB_NAME:-by-hand-$$}}}}
token=$CKGIT_JOB
id=${{SLURM_JOB_ID:-$$}}
job=.ckgit/jobs/$token
start=${{SLURM_RESTART_COUNT:-0}}
mkdir -p "$job" || exit 1
if mkdir "$job/claim" 2>/dev/null; then
  echo "$id" >"$job/claim/id"
elif [ "$start" -gt 0 ] && [ "$(cat "$job/claim/id")" = "$id" ] && mkdir "$job/claim/start$start" 2>/dev/null; then
  echo "ckgit: SLURM has started this job again (restart $start)"
  rm -f "$job/status.json"
else
  [ -d "$job/claim" ] || {{ echo "ckgit: the folder $job cannot be written"; exit 1; }}
  echo "ckgit: $token was started before; this copy does nothing"
  exit 0
fi
if [ -e "$job/cancelled" ]; then
  echo "ckgit: $token was cancelled before it started"
  exit 0
fi

# Whatever happens, the job says how it ended.
started=$(date -u +%Y-%m-%dT%H:%M:%SZ)
finish() {{
  code=$?
  trap - EXIT
  if [ "$code" != 0 ] && [ -n "${{setup_line:-}}" ]; then
    echo "ckgit: a set-up line of ${{setup_of:-the cluster profile}} failed (exit code $code): ${{setup_line//$'\n'/ }}"
    code={missing}
  fi
  [ -z "${{sampler:-}}" ] || kill "$sampler" 2>/dev/null
  rm -rf "$job/datasets"
  # a restart of this job elsewhere has taken its place
  [ ! -d "$job/claim/start$((start + 1))" ] || exit "$code"
  printf '{{"token": "%s", "job_id": "%s", "exit_code": %d, "started": "%s", "ended": "%s", "host": "%s"}}\\n' \\
    "$token" "$id" "$code" "$started" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(uname -n)" >"$job/status.part" &&
    mv "$job/status.part" "$job/status.json"
  exit "$code"
}}
trap finish EXIT

# A command runs beside the shell, which so hears a signal at once and passes it on.
run() {{
  "$@" &
  child=$! code=0
  wait "$child" || code=$?
  child=
  return "$code"
}}
stop() {{
  trap '' HUP INT TERM
  setup_line=
  set +e
  kill -TERM "${{child:-}}" 2>/dev/null && wait "$child" 2>/dev/null
  echo "ckgit: stopped by a signal" >&2
  exit "$1"
}}
trap 'stop 129' HUP
trap 'stop 130' INT
trap 'stop 143' TERM

set -eo pipefail
# Set-up lines: the cluster profile's, then those of the own configuration of who hands the job over, which are on no branch.
# bash notes where it is, and not in what a line calls.
reading='eval "$own"'
trap '[ "$BASH_COMMAND" = "$reading" ] || setup_line=$BASH_COMMAND' DEBUG
{setup}if [ -e "$job/setup" ]; then
  {{ read -r setup_of; own=$(cat && echo :); setup_line="bash cannot read them"; }} <"$job/setup"
  eval "$own"
fi
trap - DEBUG
setup_line=

{environment}
set -u
for program in {programs}; do
  command -v "$program" >/dev/null || {{
    echo "ckgit: $program is not on PATH: install ckgit[run], or add setup lines to the cluster profile"
    exit {missing}
  }}
done

{inputs}{needs}{sampling}{commands}
"""

_NEEDS = """\
# Packages of the user's own folder have no say, unless ckgit is one of them.
if {alone} 2>/dev/null; then
  export PYTHONNOUSERSITE=1
else
  {any} || exit {missing}
fi

# One process sees to it that what its tools need is there, which fails at once where it is not, and then does the work.
"""

_SAMPLING = """\
# How busy the GPUs are.
if command -v nvidia-smi >/dev/null; then
  nvidia-smi --query-gpu=utilization.gpu,memory.used --format=csv,noheader,nounits --loop=30 >"$job/gpu.csv" 2>/dev/null &
  sampler=$!
fi

"""

_INPUTS = """\
# The files that this job depends on are those that were scaffolded.
{checks}
if [ -n "${{changed:-}}" ]; then
  echo "ckgit: an input is missing or has changed since it was scaffolded"
  exit {changed}
fi

"""
_DIGESTS = """\
sha256sum --check --quiet --strict - <<'INPUTS' || changed=yes
{lines}
INPUTS"""
_SIZES = """\
# So many bytes take long to read; their digests are checked once the rest is fit.
while read -r bytes path; do
  [ "$(wc -c <"$path")" = "$bytes" ] || {{ echo "$path: FAILED (it has not $bytes bytes)"; changed=yes; }}
done <<'SIZES'
{lines}
SIZES"""


class Needs(NamedTuple):
    """What the tools of a job need, beyond files; see `ckgit.workers.job`."""

    modules: Sequence[str]  # of Python, as they are imported
    gpus: int = 0  # as the tools see them
    paths: Sequence[str] = ()  # what other jobs made, relative to the work tree
    hidden: Sequence[str] = ()  # modules of Python that must not be found, where a tool refuses to work beside them
    extra: str = RUN  # of ckgit: what brings the modules, and says in which versions


def job_script(
    *,
    title: str,
    script: str,
    resources: Resources,
    cluster: Cluster,
    inputs: Mapping[str, str | FileDigest],
    programs: Sequence[str],
    commands: Sequence[Sequence[str]],
    needs: Needs | None = None,
) -> bytes:
    """The bytes of a job script.

    Args:
        title: one line on what the job is.
        script: its own path, relative to the work tree.
        resources: becomes #SBATCH lines, which other schedulers read or ignore.
        cluster: its set-up lines run first; one that fails is an unfit environment. Nothing of `cluster.own` is in the script.
        inputs: SHA-256 in hexadecimal of every file the job depends on, with its size where it may be large, by path relative to
            the work tree.
        programs: must be on PATH.
        commands: argument lists, run one after the other until one fails.
        needs: checked by the process that goes on as the first command, a `python -m MODULE WORD...`; None for a job of bash alone.
    """
    threads, everywhere = resources.cpus_per_task or 1, on_each_node(resources)
    checked = _checked(commands, needs, programs) if needs else commands
    return _SCRIPT.format(
        directives="\n".join(directives(resources, cluster)),
        title=title,
        script=shlex.quote(script),
        kept=_kept(),
        setup="".join(f"{line}\n" for line in cluster.setup),
        environment="\n".join([*_environment(threads), *([MEETING] if everywhere else [])]),
        # what a container holds is not to be seen from outside
        programs=" ".join(map(shlex.quote, [*everywhere[:1], *(cluster.container[:1] or programs)])),
        missing=PROGRAM_MISSING,
        inputs=_check_of(inputs) if inputs else "",
        needs=_needs(cluster) if needs else "",
        sampling=_SAMPLING if resources.gpus else "",
        commands="\n".join(_command(command, cluster, everywhere) for command in checked),
    ).encode()


def _environment(threads: int) -> list[str]:
    """Lines that set what every job has in its environment."""
    return [
        f"export OMP_NUM_THREADS={threads} TOKENIZERS_PARALLELISM=false",
        "export " + " ".join(f"{name}=1" for name in OFFLINE),
        f"export {_PINNED}",
        # jobs that start together and read the same data must not build one cache of `datasets` at once
        'export HF_DATASETS_CACHE="${HF_DATASETS_CACHE:-$PWD/$job/datasets}"',
    ]


@functools.cache
def _kept() -> str:
    names = textwrap.wrap(" ".join([*KEPT, "PWD", "CKGIT_JOB", "SLURM_*", "SLURMD_*"]), 100)
    return " | \\\n".join("    " + line.replace(" ", " | ") for line in names) + ") ;;"


def measured(inputs: Mapping[str, str | FileDigest]) -> dict[str, FileDigest]:
    """The files that a script checks by their size alone, by path."""
    large = {path: digest for path, digest in inputs.items() if not isinstance(digest, str)}
    rest = MOST_HASHED - sum(digest.bytes for digest in large.values())
    left = dict[str, FileDigest]()
    for path, digest in sorted(large.items(), key=lambda each: (each[1].bytes, each[0]), reverse=True):
        if rest >= 0:
            break
        left[path] = digest
        rest += digest.bytes
    return left


def _check_of(inputs: Mapping[str, str | FileDigest]) -> str:
    sizes = measured(inputs)
    digests = {path: digest if isinstance(digest, str) else digest.sha256 for path, digest in inputs.items() if path not in sizes}
    checks = _DIGESTS.format(lines="\n".join(f"{digests[path]}  {path}" for path in sorted(digests)))
    if sizes:
        checks += "\n" + _SIZES.format(lines="\n".join(f"{digest.bytes} {path}" for path, digest in sorted(sizes.items())))
    return _INPUTS.format(checks=checks, changed=INPUTS_CHANGED)


def _needs(cluster: Cluster) -> str:
    alone, any_ = ["python", "-s", "-c", "import ckgit"], ["python", "-c", "import ckgit"]
    return _NEEDS.format(alone=_command(alone, cluster), any=_command(any_, cluster), missing=PROGRAM_MISSING)


def _checked(commands: Sequence[Sequence[str]], needs: Needs, programs: Sequence[str]) -> Sequence[Sequence[str]]:
    """The commands, of which the first one checks what it needs before it does anything."""
    (python, _, *work), *others = commands
    options = [*(f"--program={program}" for program in programs), *([f"--gpus={needs.gpus}"] if needs.gpus else [])]
    options += [*([f"--extra={needs.extra}"] if needs.extra != RUN else []), *(f"--hide={module}" for module in needs.hidden)]
    options += [*(f"--path={path}" for path in needs.paths), *(f"--module={module}" for module in needs.modules)]
    return [[python, "-m", "ckgit.workers.job", *options, *work], *others]


def _command(command: Sequence[str], cluster: Cluster, everywhere: Sequence[str] = ()) -> str:
    return " \\\n  ".join(_words(["run", *everywhere, *cluster.container, *command]))


def _words(command: Sequence[str]) -> list[str]:
    """The command's lines: one where it is short, otherwise each option with its value on a line of its own."""
    words = list(map(shlex.quote, command))
    if len(" ".join(words)) <= LONGEST_COMMAND:
        return [" ".join(words)]
    lines = [words[0]]
    for word in words[1:]:
        if word.startswith("-") or (" " in lines[-1] and lines[-1].startswith("-")):
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return lines

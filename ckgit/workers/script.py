"""The job script that all workers render: claim, inputs, commands, status.

It runs at the top of a work tree, under any scheduler or by hand. The protocol (an attempt is executed once, and the
job itself says how it ended) needs bash and coreutils only, so that it holds even where Python is broken.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from ckgit.experiment.cluster import Cluster, gpu_request
from ckgit.experiment.design import Resources

INPUTS_CHANGED = 65  # EX_DATAERR of sysexits.h
PROGRAM_MISSING = 69  # EX_UNAVAILABLE
LONGEST_COMMAND = 120

_SCRIPT = """\
#!/bin/bash
{directives}
# {title}
# By hand, from the top of the work tree: bash {script}

# One name, one execution: a second copy of this job ends here.
export CKGIT_TOKEN=${{CKGIT_TOKEN:-${{SLURM_JOB_NAME:-by-hand-$$}}}}
token=$CKGIT_TOKEN
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
  [ -z "${{sampler:-}}" ] || kill "$sampler" 2>/dev/null
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
  child=$!
  wait "$child"
  child=
}}
stop() {{
  trap '' HUP INT TERM
  set +e
  kill -TERM "${{child:-}}" 2>/dev/null && wait "$child" 2>/dev/null
  echo "ckgit: stopped by a signal" >&2
  exit "$1"
}}
trap 'stop 129' HUP
trap 'stop 130' INT
trap 'stop 143' TERM

set -eo pipefail
{environment}
set -u
for program in {programs}; do
  command -v "$program" >/dev/null || {{
    echo "ckgit: $program is not on PATH: install ckgit[run], or add setup lines to the cluster profile"
    exit {missing}
  }}
done

{inputs}{sampling}{commands}
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
sha256sum --check --quiet --strict - <<'INPUTS' || changed=yes
{inputs}
INPUTS
if [ -n "${{changed:-}}" ]; then
  echo "ckgit: an input is missing or has changed since it was scaffolded"
  exit {changed}
fi

"""


def job_script(
    *,
    title: str,
    script: str,
    resources: Resources,
    cluster: Cluster,
    inputs: Mapping[str, str],
    programs: Sequence[str],
    commands: Sequence[Sequence[str]],
) -> bytes:
    """The bytes of a job script.

    Args:
        title: one line on what the job is.
        script: its own path, relative to the work tree.
        resources: becomes #SBATCH lines, which other schedulers read or ignore.
        cluster: its set-up lines run first.
        inputs: SHA-256 in hexadecimal of every file the job depends on, by path relative to the work tree.
        programs: must be on PATH.
        commands: argument lists, run one after the other until one fails.
    """
    threads = resources.cpus_per_task or 1
    environment = [
        *cluster.setup,
        f"export OMP_NUM_THREADS={threads} TOKENIZERS_PARALLELISM=false",
        "export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 HF_DATASETS_OFFLINE=1",
        "export PYTHONUNBUFFERED=1 PYTHONHASHSEED=0",
    ]
    return _SCRIPT.format(
        directives="\n".join(directives(resources, cluster)),
        title=title,
        script=shlex.quote(script),
        environment="\n".join(environment),
        programs=" ".join(map(shlex.quote, programs)),
        missing=PROGRAM_MISSING,
        inputs=_check_of(inputs) if inputs else "",
        sampling=_SAMPLING if resources.gpus else "",
        commands="\n".join(" \\\n  ".join(_words(["run", *cluster.container, *command])) for command in commands),
    ).encode()


def _check_of(inputs: Mapping[str, str]) -> str:
    lines = [f"{digest}  {path}" for path, digest in sorted(inputs.items())]
    return _INPUTS.format(inputs="\n".join(lines), changed=INPUTS_CHANGED)


def directives(resources: Resources, cluster: Cluster) -> list[str]:
    """#SBATCH lines; their values come from patterns that hold no white space and no quote."""
    site = {"account": cluster.account, "partition": cluster.partition, "qos": cluster.qos, "constraint": cluster.constraint}
    mail = {"mail-user": cluster.mail_user, "mail-type": cluster.mail_type} if cluster.mail_user else {}
    named = [f"#SBATCH --{option}={value}" for option, value in {**site, **mail}.items() if value]
    lines = ["#SBATCH --nodes=1", "#SBATCH --ntasks=1"]
    lines += [f"#SBATCH --cpus-per-task={resources.cpus_per_task or 1}"]
    lines += [f"#SBATCH --time={resources.time}"] if resources.time else []
    lines += [f"#SBATCH --mem={resources.mem}"] if resources.mem else []
    lines += [f"#SBATCH {gpu_request(resources.gpus, cluster)}"] if resources.gpus else []
    return [*lines, *named]


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

"""What a job script asks of SLURM, and how its command runs on each of several nodes. Pure."""

from __future__ import annotations

from ckgit.experiment.cluster import Cluster, gpu_request
from ckgit.experiment.design.model import Resources

MEETING = """\
# Where the processes of all nodes meet: on the first one, which this script runs on, at a port of this job's own.
export MASTER_ADDR="${SLURMD_NODENAME:-$(uname -n)}" MASTER_PORT=$((20000 + ${SLURM_JOB_ID:-0} % 10000))"""


def directives(resources: Resources, cluster: Cluster) -> list[str]:
    """#SBATCH lines; their values come from patterns that hold no white space and no quote."""
    site = {"account": cluster.account, "partition": cluster.partition, "qos": cluster.qos, "constraint": cluster.constraint}
    mail = {"mail-user": cluster.mail_user, "mail-type": cluster.mail_type} if cluster.mail_user else {}
    named = [f"#SBATCH --{option}={value}" for option, value in {**site, **mail}.items() if value]
    nodes = resources.nodes or 1
    lines = [f"#SBATCH --nodes={nodes}", f"#SBATCH --ntasks={nodes}"]
    lines += [f"#SBATCH --cpus-per-task={resources.cpus_per_task or 1}"]
    lines += [f"#SBATCH --time={resources.time}"] if resources.time else []
    lines += [f"#SBATCH --mem={resources.mem}"] if resources.mem else []
    lines += [f"#SBATCH {gpu_request(resources, cluster)}"] if resources.gpus else []
    return [*lines, *named]


def on_each_node(resources: Resources) -> list[str]:
    """Words before a command that is to run once on each node of a job, which ends where one of them fails; none for a job of one node.

    A step of a job has the cores that it asks for itself.
    """
    nodes = resources.nodes or 1
    if nodes == 1:
        return []
    cores = f"--cpus-per-task={resources.cpus_per_task or 1}"
    return ["srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", cores, "--kill-on-bad-exit=1"]

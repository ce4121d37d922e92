"""The environment that a job finds."""

import os
import pwd

FOLDER = os.path.dirname(os.path.realpath(__file__))
# A login's, without what it would set: 22.05 gives it for NONE, NIL and lists of names, 23.11 for NONE and lists alone.
PATH = f"{FOLDER}:/usr/local/bin:/usr/bin:/bin"


def job_environment(job, cluster, site):
    return job.environment | _of_slurm(job, cluster, site) | _of_the_fake(site)


def exported(export, callers, site):
    """What `--export` lets through of the environment of who submits."""
    names = export.split(",")
    if "ALL" in names:
        base = dict(callers)
    elif names[0] == "NIL":
        base = {"PATH": PATH}
    else:
        account = pwd.getpwuid(site.uid)
        base = {"PATH": PATH, "HOME": account.pw_dir, "USER": site.user, "LOGNAME": site.user, "SHELL": account.pw_shell, "TERM": "dumb"}
    for name in names:
        variable, given, value = name.partition("=")
        if given:
            base[variable] = value
        elif variable in callers and variable not in {"ALL", "NONE", "NIL"}:
            base[variable] = callers[variable]
    return base


def _of_slurm(job, cluster, site):
    number = str(job.id)
    named = {
        "ENVIRONMENT": "BATCH",
        "TMPDIR": "/tmp",  # noqa: S108 - as SLURM does
        "HOSTNAME": job.nodes[0],
        "SLURMD_NODENAME": job.nodes[0],
        "SLURM_CLUSTER_NAME": cluster.name,
        "SLURM_CPUS_ON_NODE": str(job.cpus),
        "SLURM_JOBID": number,
        "SLURM_JOB_ACCOUNT": job.account,
        "SLURM_JOB_ID": number,
        "SLURM_JOB_NAME": job.name,
        "SLURM_JOB_NODELIST": ",".join(job.nodes),
        "SLURM_JOB_NUM_NODES": str(len(job.nodes)),
        "SLURM_JOB_PARTITION": job.partition,
        "SLURM_JOB_QOS": job.qos,
        "SLURM_JOB_UID": str(site.uid),
        "SLURM_JOB_USER": site.user,
        "SLURM_NODELIST": ",".join(job.nodes),
        "SLURM_PROCID": "0",
        "SLURM_SUBMIT_DIR": job.submit_dir,
        "SLURM_SUBMIT_HOST": os.uname().nodename,
    }
    if job.export != "ALL":
        named["SLURM_EXPORT_ENV"] = job.export
    if job.restarts:
        named["SLURM_RESTART_COUNT"] = str(job.restarts)
    if job.array is not None:
        named |= {"SLURM_ARRAY_JOB_ID": str(job.array), "SLURM_ARRAY_TASK_ID": str(job.task)} | job.array_environment
    if job.gpus:
        devices = ",".join(str(number) for number in range(job.gpus))
        named |= {"CUDA_VISIBLE_DEVICES": devices, "SLURM_JOB_GPUS": devices, "SLURM_GPUS_ON_NODE": str(job.gpus)}
    return named


def _of_the_fake(site):
    named = {"FAKE_SLURM": str(site.folder), "SLURM_FAKE": str(site.folder)}  # a job script passes the second on
    if "FAKE_SLURM_PYTHON" in site.environment:
        named["FAKE_SLURM_PYTHON"] = site.environment["FAKE_SLURM_PYTHON"]
    return named

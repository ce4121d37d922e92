"""`--dependency`: what a job waits for."""

from tests.slurm.fake import store

TYPES = {"after", "afterany", "afterok", "afternotok"}


def read_dependency(text):
    """{"any": whether one suffices, "parts": [[type, [ids]]]}, or None where SLURM refuses the text."""
    if not text:
        return {"any": False, "parts": []}
    if "," in text and "?" in text:
        return None
    parts = [_read_part(part) for part in text.replace("?", ",").split(",")]
    return None if None in parts else {"any": "?" in text, "parts": parts}


def _read_part(part):
    kind, *ids = part.split(":")
    if part == "singleton":
        return ["singleton", []]
    is_good = kind in TYPES and ids and all(number.replace("_", "", 1).isdigit() for number in ids)
    return [kind, ids] if is_good else None


def dependency_state(job, cluster):
    """ "satisfied", "unfulfilled" or "failed" (which it stays)."""
    states = [state for _, state in dependency_parts(job, cluster)]
    if not states or (job.dependency["any"] and "satisfied" in states) or set(states) == {"satisfied"}:
        return "satisfied"
    never = set(states) == {"failed"} if job.dependency["any"] else "failed" in states
    return "failed" if never else "unfulfilled"


def dependency_parts(job, cluster):
    """[(afterok:12, state)] for each job that it waits for. One that SLURM does not know counts as done."""
    parts = []
    for kind, ids in job.dependency["parts"]:
        if kind == "singleton":
            earlier = [other for other in cluster.jobs if _is_same_and_earlier(other, job)]
            parts.append(("singleton", "unfulfilled" if earlier else "satisfied"))
        for number in ids:
            parents = store.find(cluster, number)
            name = f"{kind}:{number}" + (
                "_*" if any(parent.array == int(number.partition("_")[0]) for parent in parents) and "_" not in number else ""
            )
            parts.append((name, _combine([_state(kind, parent) for parent in parents])))
    return parts


def _is_same_and_earlier(other, job):
    return (
        other.name == job.name
        and other.user == job.user
        and other.key < job.key
        and not store.is_over(other)
        and not (other.array and other.array == job.array)
    )


def _state(kind, parent):
    if kind == "after":
        return "satisfied" if parent.start or store.is_over(parent) else "unfulfilled"
    if not store.is_over(parent):
        return "unfulfilled"
    is_good = parent.state == "COMPLETED"
    return "satisfied" if kind == "afterany" or is_good == (kind == "afterok") else "failed"


def _combine(states):
    for state in ("failed", "unfulfilled"):
        if state in states:
            return state
    return "satisfied"


def show_dependency(job, cluster):
    """As %E of squeue has it: what is satisfied is left out."""
    left = [f"{name}({state})" for name, state in dependency_parts(job, cluster) if state != "satisfied"]
    return ("?" if job.dependency["any"] else ",").join(left) or "(null)"

"""What an experiment took: sums over its attempts, and the tables that show them. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ckgit.experiment.accounting import Accounting, AttemptUsage, Comparison, Total, UsageTotals
from ckgit.experiment.design.model import Stage
from ckgit.experiment.estimates.file import Estimate
from ckgit.experiment.jobs import Attempt, Phase, Usage
from ckgit.formats.markdown import NOTHING, number, size, table
from ckgit.formats.numbers import duration

COSTS_HEADER = ("queue wait", "elapsed", "GPU-hours", "CPU time", "peak memory", "GPU use")
TOTALS_HEADER = ("stage", "attempts", *COSTS_HEADER)
ATTEMPTS_HEADER = ("job", "attempt", "ended", *COSTS_HEADER, "node")
MOST_ATTEMPTS = 120  # in the report's table
ESTIMATE_HEADER = ("stage", "jobs", "estimated", "taken", "taken / estimated")


def account(attempts: Iterable[Attempt], estimate: Estimate | None) -> Accounting:
    """The accounting of those attempts that ended, in their order. What was kept of another design took nothing for this one.

    Args:
        estimate: what their jobs were expected to take; None where that is not known.
    """
    listed = tuple(_usage_of(attempt) for attempt in attempts if attempt.phase is not Phase.SUBMITTED and not attempt.kept)
    stages = [stage for stage in Stage if any(each.stage is stage for each in listed)]
    costs = [_totals(stage, [each for each in listed if each.stage is stage]) for stage in stages]
    return Accounting(
        attempts=listed,
        costs=tuple([*costs, _totals(None, listed)] if listed else ()),
        estimate=tuple(_comparisons(estimate, listed)) if estimate else (),
        sources=tuple(estimate.sources()) if estimate else (),
    )


def _usage_of(attempt: Attempt) -> AttemptUsage:
    usage = attempt.usage or Usage()
    return AttemptUsage(
        job=attempt.job, stage=attempt.stage, number=attempt.number, phase=attempt.phase, usage=usage, gpu_hours=usage.gpu_hours
    )


def _totals(stage: Stage | None, listed: Sequence[AttemptUsage]) -> UsageTotals:
    usages = [each.usage for each in listed]
    return UsageTotals(
        stage=stage,
        attempts=len(listed),
        failed=sum(each.phase not in (Phase.DONE, Phase.CANCELLED) for each in listed),
        cancelled=sum(each.phase is Phase.CANCELLED for each in listed),
        queue_seconds=_total(math.fsum, (usage.queue_seconds for usage in usages)),
        elapsed_seconds=_total(math.fsum, (usage.elapsed_seconds for usage in usages)),
        gpu_hours=_total(math.fsum, (each.gpu_hours for each in listed)),
        cpu_seconds=_total(math.fsum, (usage.cpu_seconds for usage in usages)),
        peak_memory_bytes=_total(max, (usage.peak_memory_bytes for usage in usages)),
        gpu_utilization=_mean_utilization(listed),
    )


def _total(of: Callable[[Sequence[float]], float], values: Iterable[float | None]) -> Total:
    known = [value for value in values if value is not None]
    return Total(value=float(of(known)), known=len(known)) if known else Total()


def _mean_utilization(listed: Sequence[AttemptUsage]) -> Total:
    known = [(each.usage.gpu_utilization, each.gpu_hours) for each in listed if each.usage.gpu_utilization is not None and each.gpu_hours]
    if not known:
        return Total()
    return Total(value=math.fsum(percent * hours for percent, hours in known) / math.fsum(hours for _, hours in known), known=len(known))


def _comparisons(estimate: Estimate, listed: Sequence[AttemptUsage]) -> Iterator[Comparison]:
    taken = _seconds_taken(listed)
    for stage in (*Stage, None):
        if expected := estimate.seconds(stage):
            yield _comparison(stage, expected, taken)


def _comparison(stage: Stage | None, expected: Mapping[str, float], taken: Mapping[str, float]) -> Comparison:
    compared = [job for job in expected if job in taken]
    if not compared:
        return Comparison(stage=stage, jobs=len(expected), compared=0)
    estimated, real = (math.fsum(seconds[job] for job in compared) for seconds in (expected, taken))
    return Comparison(
        stage=stage,
        jobs=len(expected),
        compared=len(compared),
        estimated_seconds=estimated,
        taken_seconds=real,
        ratio=real / estimated,
    )


def _seconds_taken(listed: Sequence[AttemptUsage]) -> dict[str, float]:
    """Seconds of all attempts at each job that is done, as the last one may have gone on with what those before it left."""
    by_job: dict[str, list[AttemptUsage]] = {}
    for each in listed:
        by_job.setdefault(each.job, []).append(each)
    found = {}
    for job, of_job in by_job.items():
        known = [each.usage.elapsed_seconds for each in of_job if each.usage.elapsed_seconds is not None]
        if of_job[-1].phase is Phase.DONE and len(known) == len(of_job):
            found[job] = math.fsum(known)
    return found


def cost_section(accounting: Accounting) -> str:
    """The report's section on what the jobs took together; empty when none ended."""
    if not accounting.attempts:
        return ""
    parts = ["## Cost", _in_words(accounting), table(TOTALS_HEADER, totals_rows(accounting)), _NOTE]
    if rows := estimate_rows(accounting):
        sources = "The estimate was made when the experiment was designed:\n\n" + "\n".join(f"- {each}" for each in accounting.sources)
        parts += ["### Estimated and taken", table(ESTIMATE_HEADER, rows), _ESTIMATE_NOTE, sources]
    return "\n\n".join(parts)


def _in_words(accounting: Accounting) -> str:
    """GPU-hours, time and queue of all attempts, and how far the estimate was off."""
    whole = next(each for each in accounting.costs if each.stage is None)
    known = (
        (whole.gpu_hours, number, "GPU-hours"),
        (whole.elapsed_seconds, duration, "of running jobs"),
        (whole.queue_seconds, duration, "in the queue"),
    )
    said = [f"{text(total.value)} {what}" for total, text, what in known if total.value is not None]
    ratio = next((each.ratio for each in accounting.estimate if each.stage is None), None)
    off = f" Jobs took {ratio:.3g} times what was estimated." if ratio is not None else ""
    attempts = f"{whole.attempts:,} attempt" + ("" if whole.attempts == 1 else "s")
    return f"{attempts}: {', '.join(said) or 'what they took was not recorded'}.{off}"


def attempts_section(accounting: Accounting) -> str:
    """What each attempt took; of very many those that are not done, and the first ones."""
    if not accounting.attempts:
        return ""
    rows = attempt_rows(accounting)
    ordered = sorted(rows, key=lambda row: row[2] == Phase.DONE) if len(rows) > MOST_ATTEMPTS else rows
    parts = ["## Attempts", table(ATTEMPTS_HEADER, ordered[:MOST_ATTEMPTS])]
    if len(rows) > MOST_ATTEMPTS:
        parts.append(f"{len(rows) - MOST_ATTEMPTS:,} further attempts are left out here; `results.json` has them all.")
    return "\n\n".join(parts)


_NOTE = (
    "Attempts that failed or were cancelled count, too. What nobody recorded of an attempt is –, and not in a total: (2 of 3) says that "  # noqa: RUF001 - the dash of the table
    "it is the total of two attempts out of three. Peak memory is the largest of all, GPU use the mean over GPU-hours."
)


_ESTIMATE_NOTE = (
    "Compared are jobs that are done and whose time is known: both times are of these alone. Attempts that failed before one was done are "
    "in what was taken."
)


def estimate_rows(accounting: Accounting) -> list[list[str]]:
    """A row for each stage and one for all, under ESTIMATE_HEADER; none before any job can be compared."""
    return [_estimate_row(each) for each in accounting.estimate] if any(each.compared for each in accounting.estimate) else []


def _estimate_row(each: Comparison) -> list[str]:
    jobs = f"{each.jobs:,}" if each.compared == each.jobs else f"{each.compared:,} of {each.jobs:,}"
    times = [NOTHING if value is None else duration(value) for value in (each.estimated_seconds, each.taken_seconds)]
    return [each.stage or "all", jobs, *times, NOTHING if each.ratio is None else f"{each.ratio:.3g}"]


def totals_rows(accounting: Accounting) -> list[list[str]]:
    """A row for each stage and one for all, under TOTALS_HEADER."""
    return [_totals_row(costs) for costs in accounting.costs]


def _totals_row(costs: UsageTotals) -> list[str]:
    badly = [f"{count:,} {word}" for count, word in ((costs.failed, "failed"), (costs.cancelled, "cancelled")) if count]
    attempts = f"{costs.attempts:,}" + (f" ({', '.join(badly)})" if badly else "")
    shown = (
        (costs.queue_seconds, duration),
        (costs.elapsed_seconds, duration),
        (costs.gpu_hours, number),
        (costs.cpu_seconds, duration),
        (costs.peak_memory_bytes, size),
        (costs.gpu_utilization, _percent),
    )
    return [costs.stage or "all", attempts, *(_total_text(total, costs.attempts, text) for total, text in shown)]


def _total_text(total: Total, attempts: int, text: Callable[[float], str]) -> str:
    if total.value is None:
        return NOTHING
    return text(total.value) + (f" ({total.known:,} of {attempts:,})" if total.known < attempts else "")


def attempt_rows(accounting: Accounting) -> list[list[str]]:
    """A row for each attempt, under ATTEMPTS_HEADER."""
    return [_attempt_row(each) for each in accounting.attempts]


def _attempt_row(each: AttemptUsage) -> list[str]:
    usage = each.usage
    shown = (
        (usage.queue_seconds, duration),
        (usage.elapsed_seconds, duration),
        (each.gpu_hours, number),
        (usage.cpu_seconds, duration),
        (usage.peak_memory_bytes, size),
        (usage.gpu_utilization, _percent),
    )
    costs = [NOTHING if value is None else text(value) for value, text in shown]
    return [each.job, str(each.number), each.phase, *costs, usage.node or NOTHING]


def _percent(value: float) -> str:
    return f"{value:.0f} %"

"""The first page of a dashboard: what runs, what went wrong, what was found, what it cost, and every experiment. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from ckgit.analysis.pages.document import document, picture
from ckgit.analysis.score_text import difference, judged, stated
from ckgit.experiment.accounting import Total
from ckgit.experiment.claims.verdicts import Verdict
from ckgit.experiment.classify import counted
from ckgit.experiment.state import State
from ckgit.formats.listing import plural
from ckgit.formats.markdown import NOTHING, number
from ckgit.formats.numbers import clock, duration
from ckgit.formats.times import utc
from ckgit.orchestrators.dashboard.html import STYLE, Markup, anchor, bar, code, link, table, tag
from ckgit.orchestrators.dashboard.now import ExperimentNow, LabNow
from ckgit.orchestrators.dashboard.state_picture import states_picture

NEWEST = 20  # experiments whose verdicts are on the first page
MOST_FAILURES = 10  # failed jobs of one experiment that are named there
UNREAD = "unreadable"
CLOSED = "closed"
JOBS_HEADER = ("job", "stage", "progress", "step", "loss", "elapsed", "left")


def overview_page(lab: LabNow, pages: Mapping[str, str], made_by: str) -> bytes:
    """The page.

    Args:
        pages: where each experiment's page is, by its name.
        made_by: how it was made, in words.
    """
    groups = grouped(lab)
    parts = [
        tag("h1", "Lab ", lab.name),
        _summary(lab, groups),
        *(tag("div", tag("p", problem.what), class_="notice", role="note") for problem in lab.problems),
        _running(lab, pages),
        _attention(lab, pages),
        _verdicts(lab, pages),
        _costs(lab, pages),
        *_experiments(groups, pages),
        tag("footer", made_by, f" Read at {utc(lab.time)}."),
    ]
    return document(f"Lab {lab.name}", "\n".join(parts), STYLE)


def grouped(lab: LabNow) -> dict[str, list[ExperimentNow]]:
    """Experiments by state, the ones furthest behind first; those that are closed and those that cannot be read apart."""
    groups: dict[str, list[ExperimentNow]] = {name: [] for name in (UNREAD, *State, CLOSED)}
    for each in lab.experiments:
        groups[_group(each)].append(each)
    newest = {name: sorted(members, key=lambda each: each.row.date, reverse=True) for name, members in groups.items()}
    return {name: members for name, members in newest.items() if members}


def _group(experiment: ExperimentNow) -> str:
    if experiment.overview is None:
        return UNREAD
    return CLOSED if experiment.overview.closing else experiment.overview.state


def _summary(lab: LabNow, groups: Mapping[str, Sequence[ExperimentNow]]) -> Markup:
    if not lab.experiments:
        return tag("p", "There are no experiments yet; ", code("ckgit design NAME"), " makes the first one.")
    counts = {name: len(members) for name, members in groups.items()}
    words = f"{plural(len(lab.experiments), 'experiment')} by state: {', '.join(f'{count} {name}' for name, count in counts.items())}"
    links = [link(f"#{name}", f"{count} {name}") for name, count in counts.items()]
    shown = Markup(picture(words, states_picture(counts)))
    return tag("section", tag("nav", *links, aria_label="Experiments by state"), tag("p", shown))


def to_page(experiment: ExperimentNow, pages: Mapping[str, str]) -> Markup:
    """An experiment's name, which leads to its page."""
    return link(quote(pages[experiment.name]), experiment.name)


def _running(lab: LabNow, pages: Mapping[str, str]) -> Markup:
    rows = [[to_page(each, pages), *row] for each in lab.out for row in job_lines(each)]
    shown = table(["experiment", *JOBS_HEADER], rows, caption="Jobs that run or wait") if rows else tag("p", "Nothing runs.")
    return tag("section", anchor("h2", "running", "Running now"), shown)


def job_lines(experiment: ExperimentNow) -> Iterator[list[object]]:
    """A row for each job that runs, under JOBS_HEADER, and one for the others that are out."""
    found = experiment.overview
    if not found:
        return
    stages = {job.attempt.job: job.attempt.stage for job in found.open}
    running = found.progress.jobs if found.progress else ()
    for job in running:
        left = clock(job.seconds_left) if job.seconds_left is not None else ""
        done = bar(job.step, job.steps, f"{job.step} of {job.steps}") if job.steps and job.step is not None else Markup("")
        step = "loading" if job.step is None else " ".join(filter(None, [f"{job.step}/{job.steps or '?'}", job.note]))
        loss = number(job.loss) if job.loss is not None else ""
        yield [job.job, stages.get(job.job, ""), done, step, loss, clock(job.elapsed), left]
    others = [job.condition for job in found.open if job.attempt.job not in {each.job for each in running}]
    if others:
        yield [f"{plural(len(others), 'other job') if running else plural(len(others), 'job')}", "", "", counted(others), "", "", ""]
    if found.left_to:
        yield ["the job that goes on", "", "", found.left_to.now.seen, "", "", ""]
    if found.unknown_jobs:
        yield [plural(len(found.unknown_jobs), "job"), "", "", "not in the ledger; may still run", "", "", ""]


def _attention(lab: LabNow, pages: Mapping[str, str]) -> Markup:
    rows = [[to_page(each, pages), what, code(onward) if onward else ""] for each in lab.experiments for what, onward in troubles(each)]
    if not rows:
        return tag("section", anchor("h2", "failures", "What went wrong"), tag("p", "Nothing that is open has failed."))
    shown = table(["experiment", "what", "next"], rows, caption="Failures, and what cannot be read")
    return tag("section", anchor("h2", "failures", "What went wrong"), shown)


def troubles(experiment: ExperimentNow) -> Iterator[tuple[str, str]]:
    """What a person has to look at, each with what to do next. Of one that is closed nobody has to."""
    found = experiment.overview
    yield from experiment.problems
    if not found or found.closing:
        return
    failed = [f"{job.condition}: {job.attempt.job}: {job.attempt.reason or 'no reason is known'}" for job in found.failed]
    more = [f"and {len(failed) - MOST_FAILURES} more jobs that failed"] if len(failed) > MOST_FAILURES else []
    beside = [found.broken, found.problem]
    lost = f"rewritten since ckgit left it at {found.rewritten[:12]}" if found.rewritten else ""
    edited = [f"not as ckgit wrote it: {edit}" for edit in found.edited]
    for what in filter(None, [*failed[:MOST_FAILURES], *more, *beside, *edited, lost]):
        yield what, found.next


def _verdicts(lab: LabNow, pages: Mapping[str, str]) -> Markup:
    having = sorted((each for each in lab.experiments if each.committed.claims), key=lambda each: each.row.date, reverse=True)
    rows = [[to_page(each, pages), *verdict_cells(verdict)] for each in having[:NEWEST] for verdict in each.committed.claims]
    header = ["experiment", "verdict", "claim", "difference"]
    shown = table(header, rows, caption="Verdicts of the newest experiments") if rows else tag("p", "No claim was judged yet.")
    more = tag("p", f"And {len(having) - NEWEST} earlier experiments with verdicts, below.") if len(having) > NEWEST else Markup("")
    return tag("section", anchor("h2", "verdicts", "Latest verdicts"), shown, more)


def verdict_cells(verdict: Verdict) -> list[str]:
    """Verdict, claim and difference of a claim that was judged."""
    return [judged(verdict), stated(verdict.claim), difference(verdict)]


def _costs(lab: LabNow, pages: Mapping[str, str]) -> Markup:
    having = [each for each in lab.experiments if each.committed.costs]
    if not having:
        return tag("section", anchor("h2", "cost", "Cost"), tag("p", "No job has ended yet."))
    rows = [[to_page(each, pages), *cost_cells([each])] for each in sorted(having, key=_hours, reverse=True)[:NEWEST]]
    rows.insert(0, [tag("strong", f"all {plural(len(having), 'experiment')}"), *cost_cells(having)])
    header = ["experiment", "attempts", "GPU-hours", "wall", "queue"]
    shown = table(header, rows, caption="What the jobs took", numbers=header[1:])
    said = "Of every attempt that ended, failed ones too; (2 of 3) says that it is known of two out of three. Wall is the sum over jobs."
    more = f" The {NEWEST} that took most are shown." if len(having) > NEWEST else ""
    return tag("section", anchor("h2", "cost", "Cost"), shown, tag("p", said + more, class_="quiet"))


def _hours(experiment: ExperimentNow) -> tuple[float, float]:
    costs = experiment.committed.costs
    return (costs.gpu_hours.value or 0.0, costs.elapsed_seconds.value or 0.0) if costs else (0.0, 0.0)


def cost_cells(experiments: Sequence[ExperimentNow]) -> list[str]:
    """Attempts, GPU-hours, wall and queue of experiments together. What is not known of an attempt is in no sum, and counted."""
    costs = [each.committed.costs for each in experiments if each.committed.costs]
    attempts = sum(each.attempts for each in costs)
    sums = [_sum(kind) for kind in zip(*((each.gpu_hours, each.elapsed_seconds, each.queue_seconds) for each in costs), strict=True)]
    texts = [NOTHING if total.value is None else show(total.value) for total, show in zip(sums, (number, duration, duration), strict=True)]
    known = ["" if total.value is None or total.known == attempts else f" ({total.known:,} of {attempts:,})" for total in sums]
    return [f"{attempts:,}", *(told + share for told, share in zip(texts, known, strict=True))]


def _sum(totals: Sequence[Total]) -> Total:
    values = [total.value for total in totals if total.value is not None]
    return Total(value=math.fsum(values), known=sum(total.known for total in totals)) if values else Total()


def _experiments(groups: Mapping[str, Sequence[ExperimentNow]], pages: Mapping[str, str]) -> Iterator[Markup]:
    for name, members in groups.items():
        header, rows = ["experiment", "question", "jobs", "verdicts", "last commit", "note"], [_row(each, pages) for each in members]
        filled = [at for at in range(len(header)) if any(row[at] for row in rows)]
        shown = table([header[at] for at in filled], [[row[at] for at in filled] for row in rows], caption=f"Experiments: {name}")
        yield tag("section", anchor("h2", name, f"{name} ({len(members)})"), shown)


def _row(experiment: ExperimentNow, pages: Mapping[str, str]) -> list[object]:
    row, found = experiment.row, experiment.overview
    jobs = counted(job.condition for job in found.jobs) if found and found.jobs else ""
    verdicts = Counter(verdict.judgement for verdict in experiment.committed.claims)
    told = ", ".join(f"{count} {name}" for name, count in verdicts.items())
    when = tag("span", f"{row.date:%Y-%m-%d %H:%M}", class_="nowrap")
    notes = [row.note, f"closed: {found.closing.because}" if found and found.closing else "", *(found.ahead if found else ())]
    note = "; ".join(filter(None, [*notes, *(problem.what for problem in experiment.problems)]))
    return [to_page(experiment, pages), experiment.committed.question, jobs, told, when, note]

"""The page of one experiment: where it stands now, its jobs, its history, and the report that is committed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckgit.analysis.pages.document import document
from ckgit.analysis.tables import JobRow
from ckgit.formats.markdown import NOTHING
from ckgit.formats.times import utc
from ckgit.lab.history.entries import HistoryEntry
from ckgit.orchestrators.dashboard.html import STYLE, Markup, code, link, listing, table, tag
from ckgit.orchestrators.dashboard.names import INDEX
from ckgit.orchestrators.dashboard.now import ExperimentNow, Unread
from ckgit.orchestrators.dashboard.overview_page import JOBS_HEADER, cost_cells, job_lines, troubles, verdict_cells
from ckgit.orchestrators.queries.overview import Overview

MOST_JOBS = 200  # of one experiment; of more those that are done are only counted
LAST = 30  # commits of its history


def experiment_page(experiment: ExperimentNow, history: Sequence[HistoryEntry], report: str, no_report: str) -> bytes:
    """The page.

    Args:
        history: its commits, oldest first.
        report: the report as HTML; empty where there is none.
        no_report: why that is so, in words.
    """
    parts = [
        tag("nav", link(f"../{INDEX}", "All experiments"), aria_label="Dashboard"),
        tag("h1", experiment.name),
        tag("p", experiment.committed.question) if experiment.committed.question else "",
        *(_unread(problem) for problem in experiment.problems),
        _standing(experiment.overview) if experiment.overview else "",
        _jobs_out(experiment),
        _failures(experiment),
        "" if report else _verdicts(experiment),
        _jobs(experiment.committed.jobs),
        _cost(experiment),
        _history(history),
        tag("article", Markup(report)) if report else tag("p", no_report, class_="quiet"),
    ]
    return document(f"Experiment {experiment.name}", "\n".join(filter(None, parts)), STYLE)


def _unread(problem: Unread) -> Markup:
    onward = tag("p", "next: ", code(problem.next)) if problem.next else ""
    return tag("div", tag("p", problem.what), onward, class_="notice bad", role="note")


def _standing(found: Overview) -> Markup:
    facts = [
        ("state", f"closed ({found.state})" if found.closing else str(found.state)),
        ("closed because", found.closing.because if found.closing else ""),
        ("last commit", f"{found.commit[:12]} of {utc(found.time)}{f', {found.event}' if found.event else ''}"),
        ("cluster", found.cluster or ""),
        ("its branch", f"gone; {found.kept} has it" if found.kept else ""),
        ("accepted as missing", ", ".join(found.accepted_missing)),
        ("elsewhere", "; ".join(found.ahead)),
        ("next", code(found.next)),
    ]
    return table(["", "now"], [[name, value] for name, value in facts if value], caption="Where it stands")


def _jobs_out(experiment: ExperimentNow) -> Markup | str:
    rows = [*job_lines(experiment)]
    return tag("section", tag("h2", "Running now"), table(JOBS_HEADER, rows, caption="Jobs that run or wait")) if rows else ""


def _failures(experiment: ExperimentNow) -> Markup | str:
    unread = {problem.what for problem in experiment.problems}
    found = list(dict.fromkeys(what for what, _ in troubles(experiment) if what not in unread))
    return tag("section", tag("h2", "What went wrong"), listing(found)) if found else ""


def _verdicts(experiment: ExperimentNow) -> Markup | str:
    rows = [[*verdict_cells(verdict), verdict.reason] for verdict in experiment.committed.claims]
    shown = table(["verdict", "claim", "difference", "why"], rows, caption="Verdicts on its claims")
    return tag("section", tag("h2", "Verdicts"), shown) if rows else ""


def _jobs(jobs: Sequence[JobRow]) -> Markup | str:
    if not jobs:
        return ""
    shown = jobs if len(jobs) <= MOST_JOBS else [job for job in jobs if not job.counts][:MOST_JOBS]
    left_out = len(jobs) - len(shown)
    rows = [[job.run, job.cell or "", job.stage, job.condition, (job.attempt and job.attempt.reason) or NOTHING] for job in shown]
    told = tag("p", f"And {left_out} more, those that are done first left out.") if left_out else ""
    content = table(["run", "evaluation", "stage", "condition", "reason"], rows, caption="Its jobs")
    return tag("details", tag("summary", f"Jobs of its design ({len(jobs)})"), content, told)


def _cost(experiment: ExperimentNow) -> Markup | str:
    if not experiment.committed.costs:
        return ""
    header = ["attempts", "GPU-hours", "wall", "queue"]
    return tag("section", tag("h2", "Cost"), table(header, [cost_cells([experiment])], caption="What its jobs took", numbers=header))


def _history(history: Sequence[HistoryEntry]) -> Markup | str:
    if not history:
        return ""
    shown = table(["when", "event", "step", "what"], _steps(history[-LAST:]), caption="Its history, newest first")
    return tag("details", tag("summary", f"History ({len(history)} commits)"), shown)


def _steps(entries: Sequence[HistoryEntry]) -> Iterator[Sequence[object]]:
    for entry in reversed(entries):
        step = f"{entry.source} → {entry.target}" if entry.event else "not ckgit's"
        what = f"not legal: {entry.problem}" if entry.problem else entry.body.partition("\n")[0] if entry.event else entry.subject
        yield [tag("span", utc(entry.date), class_="nowrap"), entry.event or "", step, what]

"""The report's answer and its rows, as Markdown. Rows and answers are text of others': no markup comes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ckgit.analysis.reading.best import Best, best_of_tasks
from ckgit.analysis.reading.same_answers import SameAnswer, same_answers
from ckgit.analysis.score_text import compared, difference, rows, score, stated
from ckgit.analysis.sections.claims import ABOUT, runs_of_sides
from ckgit.analysis.sections.comparisons import named_by_hypothesis, words
from ckgit.experiment.claims.verdicts import Judgement, Registered, Verdict
from ckgit.experiment.measured.compared import PairComparison, ReadRow, TypicalAnswer
from ckgit.experiment.results import Results, place_of_checkpoint
from ckgit.formats.listing import first_of, in_words, plural
from ckgit.formats.markdown import NOTHING, foreign, number, table_of_markdown, with_ends

ANSWER = "Answer"  # the heading of what stands first
_MOST_CLAIMS = 12  # in the answer
_NAMED = 8  # runs in a cell of a table
_ANSWERS = 6  # of a row, those that most runs gave
_INPUT, _OUTPUT, _SHORT = 400, 200, 60  # characters that are shown


def answer_section(results: Results) -> str:
    """In plain words what came out and what that does not say, claim by claim; the best run by each task, and which runs to look at.

    Empty where there is nothing yet.
    """
    claims = [_claim(verdict) for verdict in results.claims]
    shown = first_of(claims, _MOST_CLAIMS, more="claims, below")
    named = [_named(pair) for pair in named_by_hypothesis(results)]
    lines = [*shown, *first_of(named, _MOST_CLAIMS, more="comparisons, below")]
    lines += [*map(_best, best_of_tasks(results.runs)), *map(_same, same_answers(results.runs))]
    if not lines:
        return ""
    listed = "\n".join(f"- {line}" for line in lines)
    return "\n\n".join(filter(None, [f"## {ANSWER}", _summary(results), listed, _limits(results)]))


def _summary(results: Results) -> str:
    """What became of the claims, and of how much evidence that is."""
    counts = Counter(verdict.judgement for verdict in results.claims)
    told = ", ".join(f"{counts[kind]} {kind}" for kind in Judgement if counts[kind])
    claims = f"Of {plural(len(results.claims), 'claim')} that the design made: {told}." if counts else "The design made no claims."
    claims += _late(results)
    trained = sum(run.training is not None for run in results.runs)
    cells = [cell for run in results.runs for cell in run.cells]
    runs = plural(len({cell.run for cell in cells}), "run")
    of = f"It rests on {plural(len(cells), 'evaluation')} of {runs}, {trained or 'none'} of them trained here"
    missing = sum(len(run.missing) for run in results.runs)
    gaps = f"; {plural(missing, 'job')} left nothing, which “What failed” names" if missing else ""
    return f"{claims} {of}{gaps}."


def _late(results: Results) -> str:
    """How many claims follow results, so that nobody takes what they came to for what was foreseen."""
    count = sum(verdict.registered in (Registered.CHANGED, Registered.ADDED) for verdict in results.claims)
    gone = len(results.withdrawn)
    made = [f"{count} of them {'was' if count == 1 else 'were'} changed or added"] if count else []
    told = in_words([*made, *([f"{gone} {'was' if gone == 1 else 'were'} withdrawn"] if gone else [])])
    return f" After results could be seen, {told}." if told else ""


def _claim(verdict: Verdict) -> str:
    """A claim with what became of it, in one sentence."""
    said = foreign(stated(verdict.claim))
    late = f" ({verdict.registered}: exploratory)" if verdict.registered not in (None, Registered.BEFORE) else ""
    begun = f"**{verdict.judgement[:1].upper()}{verdict.judgement[1:]}**{late}: {said}"
    if verdict.difference is None:
        return f"{begun}; {foreign(verdict.reason)}."
    what, unit = ("slope", f" for each unit of {foreign(str(verdict.claim.along))}") if verdict.claim.trend else ("difference", "")
    about = ABOUT[verdict.quantity] if verdict.quantity else verdict.about
    rows_ = f", {compared(verdict)} rows" if verdict.samples is not None else ""
    runs = f", {runs_of_sides(verdict)} runs" if verdict.settings else ""
    return f"{begun}. The {what} is {difference(verdict)}{unit}{rows_}{runs}{f' ({about})' if about else ''}."


def _named(pair: PairComparison) -> str:
    """A comparison that a hypothesis without claims names; it has no verdict."""
    shown = NOTHING if pair.difference is None else with_ends(pair.difference, pair.low, pair.high)
    return (
        f"The hypothesis names {foreign(pair.left)} and {foreign(pair.right)}: {foreign(pair.metric)} on {foreign(pair.task)}, left minus "
        f"right, {shown} ({foreign(words(pair))}). It is no claim, so there is no verdict."
    )


def _limits(results: Results) -> str:
    """What the numbers do not say."""
    trained = [run for run in results.runs if run.training and not run.again]
    seeds = Counter(run.setting or run.name for run in trained)
    parts = ["rows unlike those of the test split may give other numbers"]
    if trained and max(seeds.values()) == 1:
        parts.insert(0, "each setting was trained once, so another seed may turn the order of two settings around")
    elif trained and min(seeds.values()) == 1:
        parts.insert(0, f"{sum(count == 1 for count in seeds.values())} of {plural(len(seeds), 'setting')} were trained once only")
    differing = [each.trait for each in results.fairness if each.known]
    if differing:
        parts.append(f"compared runs also differ in {foreign(in_words(dict.fromkeys(differing)))}, see “Fair?”")
    return f"What this does not say: {'; '.join(parts)}." if any(run.cells for run in results.runs) else ""


def _best(best: Best) -> str:
    cell, metric = best.cell, best.metric
    named = f"{foreign(metric.name)} ({foreign(metric.scorer)})"
    value = f"{score(cell, metric)} over {rows(cell, metric)} rows"
    run = f"**{foreign(_place(cell.run, cell.epoch, cell.checkpoint))}**"
    if best.of == 1:
        return f"{foreign(cell.task)}: {run} has {named} {value}; nothing else was evaluated on it."
    if len(best.ties) == best.of - 1:
        return f"{foreign(cell.task)}: all {best.of} evaluations have the very same {named}, {value}."
    end = "lowest" if best.lowest else "highest"
    return f"{foreign(cell.task)}: {run} has the {end} {named} of {best.of} evaluations, {value}.{_doubts(best)}"


def _doubts(best: Best) -> str:
    """Why the best of several is no finding."""
    parts = [f"the very same value: {foreign(in_words([each.run for each in best.ties], _NAMED))}"] if best.ties else []
    parts += [f"its interval overlaps with {best.overlapping} of the others"] if best.overlapping else []
    parts += [f"{best.uncertain} of the others cannot be held against it without an interval"] if best.uncertain else []
    doubts = "; ".join(parts)
    first = f" {doubts[:1].upper()}{doubts[1:]}." if doubts else ""
    return f"{first} Picked after the scores were seen, it is no claim, and likely looks better here than on new rows."


def _same(same: SameAnswer) -> str:
    said = f"“{foreign(same.answer, _SHORT)}”" if same.answer else "nothing"
    wanted = f"it was expected in {same.expected}" if same.expected else "it was expected in none"
    return f"Look at {foreign(same.run)}: it answers {said} to {same.given} of {same.rows} rows of {foreign(same.cell.task)}; {wanted}."


def _place(run: str, epoch: int | None, checkpoint: str | None) -> str:
    place = place_of_checkpoint(epoch, checkpoint)
    return f"{run}, {place}" if place else run


def rows_section(found: Sequence[ReadRow], typical: Sequence[TypicalAnswer] = ()) -> str:
    """Rows worth reading, each with its answers, and what runs answer most often; empty where there are none."""
    if not found:
        return ""
    said = "Each run's answer is of its last evaluated checkpoint, and cut. Of rows that are as fit the first are shown: no random choice."
    parts = ["## Rows worth reading", said]
    for task in dict.fromkeys(row.task for row in found):
        chosen = [row for row in found if row.task == task]
        parts.append(f"### {foreign(task)}: rows, by {foreign(chosen[0].scorer)}")
        parts += [text for row in chosen for text in _row(row)]
        parts += _typical([each for each in typical if each.task == task])
    return "\n\n".join(parts)


def _typical(found: Sequence[TypicalAnswer]) -> Iterator[str]:
    """A row for each run with what it answers most often."""
    if not found:
        return
    yield f"**Typical answers** of the first {plural(len({each.run for each in found}), 'run')}: those given most often, and the first row."
    lines = []
    for run in dict.fromkeys(each.run for each in found):
        own = [each for each in found if each.run == run]
        said = [f"{foreign(each.answer, _SHORT)} ({each.given} of {each.rows}; row {foreign(str(each.id), _SHORT)})" for each in own]
        lines.append([foreign(run), *said, *[NOTHING] * (3 - len(said))])
    yield table_of_markdown(["run", "first", "second", "third"], lines)


def _row(row: ReadRow) -> Iterator[str]:
    expected = foreign(row.target, _OUTPUT) if row.target else NOTHING
    yield f"**Row {foreign(str(row.id), _SHORT)}, {row.kind}**"
    yield f"- asked: {foreign(row.input, _INPUT)}\n- expected: {expected}"
    by_answer: dict[tuple[str, str], list[str]] = {}
    for answer in row.answers:
        sure = "" if answer.probability is None else f" ({100 * answer.probability:.0f} % sure)"
        by_answer.setdefault((answer.output, _score(answer.score)), []).append(f"{answer.run}{sure}")
    common = sorted(by_answer.items(), key=lambda each: -len(each[1]))
    lines = [[foreign(text, _OUTPUT), value, foreign(in_words(names, _NAMED))] for (text, value), names in common[:_ANSWERS]]
    yield table_of_markdown(["answer", "score", "by"], lines)
    if len(common) > _ANSWERS:
        runs = sum(len(names) for _, names in common[_ANSWERS:])
        yield f"and {plural(len(common) - _ANSWERS, 'more answer')} of {plural(runs, 'run')}"


def _score(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return foreign(str(value), _SHORT)
    return number(value)

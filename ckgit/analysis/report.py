"""`analysis/report.md`: the results as Markdown. Pure: the same results give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ckgit.analysis.accounting import attempts_section, cost_section
from ckgit.analysis.measures.section import groups_section, left_out_section, measures_section
from ckgit.analysis.provenance import failures_section, kept_section, provenance_section, tokens_section
from ckgit.analysis.reading.registered import registered_section
from ckgit.analysis.reading.sections import answer_section, rows_section
from ckgit.analysis.sections.claims import claims_section
from ckgit.analysis.sections.comparisons import comparisons_section, fairness_section
from ckgit.analysis.sections.preferences import preferences_section
from ckgit.analysis.sections.scores import scores_section
from ckgit.analysis.sections.training import LOSS_PLOT, runs_section
from ckgit.experiment.jobs import Ledger
from ckgit.experiment.results import Results
from ckgit.experiment.worker import Context
from ckgit.formats.markdown import cell

__all__ = ["DESIGN_PLOT", "LOSS_PLOT", "SCORES_PLOT", "render"]

SCORES_PLOT, DESIGN_PLOT = "scores.svg", "design.svg"


def render(
    context: Context,
    ledger: Ledger | None,
    results: Results,
    pictures: Mapping[str, str],
    own: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """The report: answer, evidence, cost, gaps, and then what only a checker asks for.

    Args:
        pictures: what each picture beside it shows in words, by file name.
        own: what the preparation tool says of runs in its own terms, as Markdown by name of the run.
    """
    about = context.summary.experiment
    sections = [
        f"# {about.name}",
        f"Design `{results.design[:12]}` of {about.date}. Every number follows from logs that are committed on branch `exp/{about.name}`.",
        f"## Question\n\n{about.question}",
        answer_section(results),
        f"## Hypothesis\n\n{about.hypothesis}" if about.hypothesis else "",
        f"## Purpose\n\n{about.purpose}" if about.purpose else "",
        claims_section(results.claims),
        registered_section(results),
        *scores_section(context, results, pictures),
        measures_section(results, pictures),
        groups_section(results.groups),
        comparisons_section(results),
        fairness_section(results),
        runs_section(context.summary.tools.preparation, results.runs, pictures),
        preferences_section(results.runs, pictures),
        *(f"### {run}: {context.summary.tools.preparation}\n\n{text}" for run, text in own.items()),
        rows_section(results.rows, results.typical),
        cost_section(results.accounting),
        failures_section(results, ledger),
        kept_section(ledger, context.kept),
        _again_section(results),
        tokens_section(results),
        provenance_section(context, ledger, results),
        left_out_section(results),
        attempts_section(results.accounting),
        _method_section(results),
    ]
    return ("\n\n".join(section for section in sections if section) + "\n").encode()


def _again_section(results: Results) -> str:
    lines = "\n".join(f"- {cell(each)}" for each in results.reproduced)
    return f"## Run again\n\n{lines}" if lines else ""


_TRAINING_NOTE = "Final loss: the training loss of the last logged step, of one batch. Duration: from a job's start to its end."
_SCORE_NOTES = """\
- What an interval is about: one run's is about this model, on rows like those that were answered; variance between training seeds is
  not in it, so it says nothing of a setting. A setting with several seeds has both in its interval: squared margins of rows and of
  seeds are added (Banerjee 1960, Sankhya 22:357).
- A row that was answered several times counts once, by its mean. One run, each score 0 or 1: Wilson's score interval (Wilson 1927,
  J. Am. Stat. Assoc. 22:209). One run, other numbers: mean ± t·s/√n with n-1 degrees of freedom, cut to 0 and 1 where the score cannot
  lie outside; scores between 0 and 1 that are all the same: Wilson's, which is then too wide rather than too narrow.
- Left minus right over the same rows (of the same data, with the same ids and targets), each score 0 or 1: p-q ± 1.96·√((p+q-(p-q)²)/(n+2))
  with p=(b+1)/(n+2), q=(c+1)/(n+2), where b and c rows are right on the left only and on the right only (Bonett and Price 2012,
  J. Educ. Behav. Stat. 37:479). Other numbers: the t interval of the differences by row.
- Left minus right over different rows, each score 0 or 1: from both Wilson intervals (Newcombe 1998, Stat. Med. 17:873, method 10).
  Other numbers: Welch's t interval (Welch 1947, Biometrika 34:28).
- A metric that is not a mean of its rows' scores: value ± 1.96 standard errors, where the evaluator gives one and rows do not belong
  together, as that error takes each for one that stands alone. A number without brackets has no interval that would hold; an
  interval without width is never given.
- Missing scores: a number is made of the rows that have a score, and “2 of 8 scored” beside it says how many were asked. Its interval
  takes the missing ones at worst and at best, and has the outer ends of both (Horowitz and Manski 2000, J. Am. Stat. Assoc. 95:77);
  so does that of a difference. Known to lie between 0 and 1 are an accuracy, inspect-ai's exact and f1, and scores that are all 0 or 1;
  where a score's scale is not known there is no interval, and a claim is undecided.
- Claims: supported where the whole interval lies beyond the claimed margin, not supported where all of it falls short, undecided
  otherwise, which does not mean that there is no difference. “The same” is two one-sided tests (Schuirmann 1987, J. Pharmacokinet.
  Biopharm. 15:657), so its interval is a 90 % one; that of the best of several is corrected for how many there were (Bonferroni).
  A claim about a metric or a result that is not there cannot be judged.
- Settings: V is the variance over rows of the difference of means over seeds, less what seeds add to it, and S that of the seeds,
  pooled over the claim's own settings where these have as many runs each and four degrees of freedom, else the larger of a setting's
  own and that of all. The interval is the difference ± √(t²·V + t²·S). Where a run has fewer than 5 right or wrong, a row of each is
  added, and where rows belong together as many as usually do. A trend is the least-squares slope over the settings, with
  Satterthwaite's degrees of freedom. A metric that is no mean of rows has t·√S, on these rows.
- Rows that belong together: CR2 with its own degrees of freedom (Bell and McCaffrey 2002, Surv. Methodol. 28:169).
- Comparisons that nobody claimed: m of a task have intervals of 1 - 0.05/m each (Bonferroni), of the kinds above. P-values are McNemar's
  mid-p (Fagerland 2013, BMC Med. Res. Methodol. 13:91) for 0/1 scores of two runs, the paired t test for others, and for settings the
  level at which the interval would touch 0; they are corrected by Holm 1979 (Scand. J. Stat. 6:65), which decides what is within noise.
- `results.json` names the method of each interval."""


def _method_section(results: Results) -> str:
    lines = [f"- {_TRAINING_NOTE}"]
    lines += [_SCORE_NOTES] if any(run.cells for run in results.runs) else []
    lines += [f"- {remark}" for run in results.runs for remark in run.remarks]
    return "## How the numbers are made\n\n" + "\n".join(lines)

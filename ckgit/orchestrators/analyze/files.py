"""What lies in `analysis/`: the report, its page, the results, the answers and the pictures."""

from __future__ import annotations

from typing import Any

from ckgit.analysis.pages.report_page import PAGE, REPORT, page_of
from ckgit.analysis.plots.drawing import Picture
from ckgit.analysis.report import render
from ckgit.analysis.samples_file import samples_file
from ckgit.experiment.measured.long_texts import cut
from ckgit.experiment.results import CellResult, Results, Sample
from ckgit.experiment.worker import Context
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.plugins import preparation_for


def files_of(view: ExperimentView, results: Results, max_bytes: int) -> dict[str, bytes]:
    """What lies in `analysis/`, by name."""
    pictures = pictures_of(results)
    files = {name: content for each, picture in pictures.items() for name, content in picture.files(each).items()}
    words = {f"{name}.svg": picture.words for name, picture in pictures.items()}
    if samples := samples_file(results):
        if len(samples) <= max_bytes:
            files["samples.parquet"] = samples
        else:
            results = results.model_copy(update={"samples_left_out": len(samples)})
    files["results.json"] = document_of(results)
    files[REPORT] = render(view.context, view.ledger, results, words, _own(view.context, results))
    files[PAGE] = page_of(view.name, files)
    return files


def document_of(results: Results) -> bytes:
    """`results.json`: without what is empty, as before ckgit knew of it, and of long answers the beginning.

    Without the texts from which `rows` were taken, the sketches of rows, and what `samples.parquet` has of each answer.
    """
    cells: dict[str, Any] = {"texts": True, "rows": True, "samples": {"__all__": {"metadata", "probabilities"}}}
    texts = {"runs": {"__all__": {"cells": {"__all__": cells}}}}
    left_out = ("reproduced", "rows", "groups", "samples_left_out", "withdrawn", "registration", "scored", "clustering")
    empty = {name: True for name in left_out if not getattr(results, name)}
    return _with_short_texts(results).model_dump_json(indent=2, exclude={**texts, **empty}).encode() + b"\n"


def _with_short_texts(results: Results) -> Results:
    """Of long answers the beginning: `samples.parquet` and the logs have them whole. A model may write a book for each row."""
    runs = [run.model_copy(update={"cells": tuple(map(_cell, run.cells))}) for run in results.runs]
    rows = [row.model_copy(update={"target": cut(row.target)}) for row in results.rows]
    return results.model_copy(update={"runs": tuple(runs), "rows": tuple(rows)})


def _cell(cell: CellResult) -> CellResult:
    return cell.model_copy(update={"samples": tuple(map(_sample, cell.samples))})


def _sample(sample: Sample) -> Sample:
    scores = {name: cut(score) if isinstance(score, str) else score for name, score in sample.scores.items()}
    return sample.model_copy(update={"answer": cut(sample.answer), "target": cut(sample.target), "scores": scores})


def pictures_of(results: Results) -> dict[str, Picture]:
    """By name without its ending."""
    from ckgit.analysis.plots.design_plot import design_plot
    from ckgit.analysis.plots.loss_plot import loss_plot
    from ckgit.analysis.plots.margins_plot import margins_plot
    from ckgit.analysis.plots.reliability_plot import reliability_plot
    from ckgit.analysis.plots.scores_plot import scores_plot

    drawn = {"design": design_plot(results), "loss": loss_plot(results), "scores": scores_plot(results)}
    drawn |= {"margins": margins_plot(results), "reliability": reliability_plot(results)}
    return {name: picture for name, picture in drawn.items() if picture is not None}


def _own(context: Context, results: Results) -> dict[str, str]:
    """What the preparation tool says of its runs in its own terms, by name of the run."""
    worker = preparation_for(context.summary)
    trained = [run.training for run in results.runs if run.training] if worker else []
    return {each.run: text for each in trained if worker and (text := worker.report(each))}

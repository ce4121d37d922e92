"""Scaffolded files are byte for byte what the design, the cluster profile and the model cards give: they are rendered again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import PROFILE, RenderedProfile
from ckgit.experiment.design.model import Stage
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.outputs.findings import Finding
from ckgit.experiment.worker import Context
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.plugins import worker_for
from ckgit.orchestrators.review import rules
from ckgit.orchestrators.review.verify.checks.step import Step, in_words
from ckgit.orchestrators.scaffold.rerender import divided_anew
from ckgit.orchestrators.scaffold.scaffold import rendered, scaffolded

_RENDERING = (Event.SCAFFOLD, Event.RETRY, Event.SUBMIT)


def rendering(step: Step) -> Iterator[Finding]:
    """What a step has rendered is what would be rendered for it again."""
    if step.event not in _RENDERING:
        return
    if not step.is_ours:
        if step.event is Event.SCAFFOLD:
            what = f"its files cannot be rendered again: made by ckgit {step.version or 'of before versions were recorded'}"
            yield rules.UNCHECKED.found(what, commit=step.commit.oid, advice="verify with that version of ckgit")
        return
    profile = f"{step.folder}/{PROFILE}"
    if step.event is Event.SCAFFOLD and step.after.read(profile) is None:
        yield rules.RENDERED.found("it is not there, and this ckgit writes it at scaffolding", commit=step.commit.oid, path=profile)
        return
    expected, why = rendered_again(step)
    if why:
        yield why
        return
    for path, content in expected.items():
        wrote = path in step.commit.files
        if (wrote or step.event is Event.SCAFFOLD) and step.after.read(path) != content:
            what = "it is not what this design, cluster profile and model cards give"
            yield rules.RENDERED.found(what, commit=step.commit.oid, path=path)


def rendered_again(step: Step) -> tuple[Mapping[str, bytes], Finding | None]:
    """The files that a step could have rendered, by path; or why that cannot be told."""
    try:
        context = _as_rendered(step.view)
        if isinstance(context, str):
            return {}, rules.UNCHECKED.found(context, commit=step.commit.oid)
        return _all(step.view._replace(context=context), whole=step.event is Event.SCAFFOLD), None
    except CkgitError as error:
        return {}, rules.RENDERED.found(f"nothing can be rendered for it: {in_words(error)}", commit=step.commit.oid)


def _as_rendered(view: ExperimentView) -> Context | str:
    """The context with the profile for which files were rendered last; or why it is not known."""
    content = view.snapshot.read(view.path(PROFILE))
    if content is None:
        return "the cluster profile that its files were rendered for was not recorded then"
    try:
        profile = RenderedProfile.model_validate_json(content)
    except ValidationError as error:
        raise CkgitError(f"{PROFILE} cannot be read ({error.errors()[0]['msg']})", code=Exit.EVIDENCE_MISSING) from None
    return view.context._replace(cluster=profile.profile, cluster_name=profile.cluster)


def _all(view: ExperimentView, *, whole: bool) -> dict[str, bytes]:
    """What scaffolding writes; of a later step the files of jobs alone, and those of trainings as a retry has divided them."""
    if whole:
        return scaffolded(view)
    workers = {stage: worker for stage in Stage if (worker := worker_for(view.context.summary, stage))}
    return {**rendered(view), **divided_anew(view, workers)}

"""Scorers are checked before anything is trained, against a table that must be inspect's own."""

import inspect
from typing import Any, Literal, Union, get_args, get_origin

import pytest

from ckgit.experiment.worker import reasons_against
from ckgit.workers.inspect_ai import worker
from ckgit.workers.inspect_ai.scorers import ARGUMENTS, METRIC, REFUSED, Argument
from tests.workers.inspect_ai.examples import make_context


def installed() -> dict[str, dict[str, Argument]]:
    """Every public scorer of inspect_ai with those of its arguments that a design can write."""
    scorer = pytest.importorskip("inspect_ai.scorer")
    from inspect_ai._util.registry import is_registry_object, registry_info

    public = {name: getattr(scorer, name) for name in scorer.__all__}
    makers = {name: make for name, make in public.items() if is_registry_object(make) and registry_info(make).type == "scorer"}
    return {name: arguments(name, make) for name, make in makers.items() if name not in REFUSED}


def arguments(name: str, make: Any) -> dict[str, Argument]:
    found = {}
    for parameter in inspect.signature(inspect.unwrap(make), eval_str=True).parameters.values():
        kinds, choices = possible(parameter.annotation)
        own_rule = name.startswith("model_graded") and parameter.name == "model"
        if kinds or choices:
            found[parameter.name] = Argument(kinds, choices, parameter.default is parameter.empty or own_rule)
    return found


def possible(annotation: Any) -> tuple[tuple[type, ...], tuple[str, ...]]:
    if get_origin(annotation) is Literal:
        return (), get_args(annotation)
    parts = get_args(annotation) if get_origin(annotation) in (Union, type(int | str)) else (annotation,)
    return tuple(part for part in parts if part in (str, bool, float)), ()


def test_the_table_is_that_of_the_installed_inspect():
    assert installed() == ARGUMENTS
    import inspect_ai.scorer
    from inspect_ai._util.registry import registry_info

    assert set(REFUSED) <= set(inspect_ai.scorer.__all__)
    metrics = {name: registry_info(getattr(inspect_ai.scorer, name)).metadata["metrics"] for name in ARGUMENTS}
    named = {name: [registry_info(metric).name.removeprefix("inspect_ai/") for metric in some] for name, some in metrics.items()}
    assert named == {name: [metric, "stderr"] for name, metric in METRIC.items()}


def problems(*scorers: dict, **paths: object) -> list[str]:
    return [problem.message for problem in worker.check(make_context(evaluation__scorers=list(scorers), **paths))]


@pytest.mark.parametrize(
    ("scorer", "words"),
    [
        ({"name": "matches"}, "inspect_ai.scorer has no scorer 'matches'; did you mean match?"),
        ({"name": "accuracy"}, "no scorer 'accuracy' (it has: answer, choice, exact,"),  # a metric
        ({"name": "match", "args": {"locatoin": "exact"}}, "scorer match has no argument 'locatoin'; did you mean location?"),
        ({"name": "exact", "args": {"ignore_case": True}}, "scorer exact has no argument 'ignore_case' (it has: none)"),
        ({"name": "match", "args": {"location": "exakt"}}, "begin or end or any or exact, not 'exakt'; did you mean exact?"),
        ({"name": "match", "args": {"numeric": 1}}, "scorer match: numeric is true or false, not 1"),
        ({"name": "math", "args": {"timeout": True}}, "scorer math: timeout is a number, not true"),
        ({"name": "pattern"}, "scorer pattern needs pattern among its args: text"),
        ({"name": "model_graded_qa"}, "needs model among its args: text; without it the evaluated model would grade itself"),
        ({"name": "multi_scorer"}, "scorer multi_scorer cannot be used: it is made of other scorers"),
    ],
)
def test_what_inspect_would_refuse_in_the_job_is_a_problem_of_the_design(scorer: dict, words: str):
    [problem] = problems(scorer)
    assert problem.startswith("task capitalization: ")
    assert words in problem


def test_scorers_that_inspect_takes():
    exact = {"name": "match", "args": {"location": "exact", "ignore_case": False}}
    graded = {"name": "model_graded_qa", "args": {"model": "openai/some"}}
    assert problems(exact, {"name": "includes"}, {"name": "math", "args": {"timeout": 3}}, graded) == []


def test_a_task_has_its_scorers_checked_in_place_of_the_experiments():
    assert problems({"name": "matches"}, evaluation__tasks__0__scorers=[{"name": "exact"}]) == []
    assert "'exacts'" in problems({"name": "match"}, evaluation__tasks__0__scorers=[{"name": "exacts"}])[0]


def test_a_problem_of_a_scorer_has_its_place_in_the_design():
    wrong = [{"name": "exact"}, {"name": "match", "args": {"numeric": 1}}, {"name": "matches"}]
    shared = worker.check(make_context(evaluation__scorers=wrong))
    assert [problem.path for problem in shared] == ["evaluation.scorers.1.args.numeric", "evaluation.scorers.2.name"]
    [own] = worker.check(make_context(evaluation__tasks__0__scorers=[{"name": "pattern"}]))
    assert own.path == "evaluation.tasks.0.scorers.0.args"


def test_a_problem_of_generation_has_its_place_in_the_design():
    shared, own = make_context(evaluation__generation={"top_p": 0.5}), make_context(evaluation__tasks__0__generation={"top_k": 5})
    assert [problem.path for problem in worker.check(shared)] == ["evaluation.generation.top_p"]
    assert [problem.path for problem in worker.check(own)] == ["evaluation.tasks.0.generation.top_k"]


def claims(*changed: dict, more: bytes = b"", **paths: object) -> list[tuple[str, str]]:
    claim = {"metric": "accuracy", "task": "capitalization", "left": "tuned", "right": "base", "direction": "greater"}
    made = make_context(experiment__claims=[claim | change for change in changed], **paths)
    made = made._replace(sources={path: content + more for path, content in made.sources.items()})
    return [(problem.path, problem.message) for problem in worker.check(made)]


BOTH = [{"name": "match"}, {"name": "includes"}, {"name": "f1"}]


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ({"metric": "acuracy"}, "about metric acuracy, which task capitalization does not have; did you mean accuracy?"),
        ({"metric": "mean", "scorer": "match"}, "metric mean, which task capitalization does not have (it has: accuracy)"),
    ],
)
def test_a_claim_that_could_never_be_judged_is_a_problem_of_the_design(claim: dict, words: str):
    [(place, sentence)] = claims(claim, evaluation__scorers=BOTH)
    assert place == "experiment.claims.0.metric"
    assert words in sentence


def test_claims_that_can_be_judged():
    assert claims({"scorer": "includes"}, {"metric": "mean"}, {"metric": "mean", "scorer": "f1"}, evaluation__scorers=BOTH) == []
    assert claims({}, evaluation__scorers=[{"name": "match"}]) == []


def test_what_is_only_warned_of_is_no_reason_against_scaffolding():
    claim = {"metric": "acuracy", "task": "capitalization", "left": "tuned", "right": "base", "direction": "greater"}
    doubted = make_context(experiment__claims=[claim])
    assert [problem.warning for problem in worker.check(doubted)] == [True]
    assert worker.scaffold(doubted).keys() == worker.scaffold(make_context()).keys()


def test_a_metric_that_the_task_s_own_scorers_do_not_seem_to_have_is_warned_of():
    [(place, sentence)] = claims({"metric": "acuracy"})
    assert (place, "metric acuracy, which task capitalization does not seem to have; did you mean accuracy?" in sentence) == (
        "experiment.claims.0.metric",
        True,
    )
    assert claims({}) == []
    for own in (b"\n# metrics=[my_own()]\n", b"\n@scorer(metrics=[])\ndef mine(): ...\n"):
        [(_, sentence)] = claims({"metric": "acuracy"}, more=own)
        assert "need not have; did you mean accuracy?" in sentence
        assert claims({}, {"metric": "f1_macro"}, more=own) == []
    claim = {"metric": "acuracy", "task": "capitalization", "left": "tuned", "right": "base", "direction": "less"}
    assert reasons_against(worker.check(make_context(experiment__claims=[claim]))) == []  # a guess is in the way of nothing


def test_a_metric_that_the_design_does_not_determine_is_left_to_analyze():
    own = b"\n# Task(..., metrics=[my_own()])\n"
    assert claims({"metric": "my_own"}, more=own) == []  # the task's own scorers
    assert claims({"metric": "my_own"}, evaluation__scorers=[{"name": "match"}], more=own) == []

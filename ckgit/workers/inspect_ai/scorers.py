"""The scorers of inspect_ai.scorer, so that a design is checked before anything is trained. Imports no inspect.

The tables are those of inspect-ai 0.3.285; a test holds them equal to the installed one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ckgit.experiment.design.model import Claim, Scorer
from ckgit.formats.listing import nearest
from ckgit.formats.numbers import shown
from ckgit.formats.task_source import called_names, scorer_functions

_WORDS = {str: "text", bool: "true or false", float: "a number"}


class Argument(NamedTuple):
    """What an argument may be, as far as a design can write it."""

    kinds: tuple[type, ...] = ()  # a float may be written as a whole number
    choices: tuple[str, ...] = ()
    required: bool = False

    def takes(self, value: Any) -> bool:
        """Whether a value of a design is one for this argument. True is no number."""
        number = float in self.kinds and type(value) in (int, float)
        return value in self.choices if self.choices else number or type(value) in self.kinds

    @property
    def expected(self) -> str:
        """What it may be, in words."""
        return " or ".join(self.choices or (_WORDS[kind] for kind in self.kinds))


_TEXT, _FLAG = Argument((str,)), Argument((bool,))
_GRADED = {
    **dict.fromkeys(("template", "instructions", "grade_pattern", "model_role", "reducer"), _TEXT),
    **dict.fromkeys(("include_history", "partial_credit"), _FLAG),
    "model": Argument((str,), required=True),  # by inspect's own default the evaluated model would grade itself
}
ARGUMENTS: Mapping[str, Mapping[str, Argument]] = {
    "answer": {"pattern": Argument(choices=("letter", "word", "line"), required=True)},
    "choice": {},
    "exact": {},
    "f1": {},
    "includes": {"ignore_case": _FLAG},
    "match": {"location": Argument(choices=("begin", "end", "any", "exact")), "ignore_case": _FLAG, "numeric": _FLAG},
    "math": {"timeout": Argument((float,))},
    "model_graded_fact": _GRADED,
    "model_graded_qa": _GRADED,
    "pattern": {"pattern": Argument((str,), required=True), "ignore_case": _FLAG, "match_all": _FLAG},
}
METRIC: Mapping[str, str] = {**dict.fromkeys(ARGUMENTS, "accuracy"), "exact": "mean", "f1": "mean"}  # beside its standard error
REFUSED = {
    **dict.fromkeys(("cascade", "multi_scorer"), "it is made of other scorers; name these in scorers, each is reported"),
    **dict.fromkeys(("perplexity", "target_perplexity"), "it needs log probabilities of the prompt, which are not computed"),
    "precomputed_scores": "its scores come from a file that is no part of the design",
}


def scorer_problems(chosen: Iterable[Scorer], sources: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """What inspect would refuse, or what would not measure the model: its place in the list of scorers, and a sentence.

    Args:
        sources: files of the lab that its own scorers are in, by path.
    """
    for position, scorer in enumerate(chosen):
        if scorer.source:
            own = _own_problems(scorer, sources.get(scorer.source))
            yield from ((f"{position}.{place}", text) for place, text in own)
        elif reason := REFUSED.get(scorer.name):
            yield f"{position}.name", f"scorer {scorer.name} cannot be used: {reason}"
        elif scorer.name in ARGUMENTS:
            yield from ((f"{position}.{place}", text) for place, text in _argument_problems(scorer, ARGUMENTS[scorer.name]))
        else:
            yield f"{position}.name", f"inspect_ai.scorer has no scorer {scorer.name!r}{_instead(scorer.name, ARGUMENTS)}"


def metric_problem(claim: Claim, chosen: Iterable[Scorer]) -> str:
    """Why a claim's metric is none that the chosen scorers compute; empty when it is one, or where it cannot be told."""
    named = [scorer.name for scorer in chosen if claim.scorer in (None, scorer.name)]
    if not named or not METRIC.keys() >= set(named):
        return ""  # the task has its own, or what is wrong is a scorer
    metrics = dict.fromkeys(METRIC[name] for name in named)
    if claim.metric in metrics:
        return ""
    return f"the claim is about metric {claim.metric}, which task {claim.task} does not have{_instead(claim.metric, metrics)}"


def metric_doubt(claim: Claim, source: bytes) -> str:
    """Why a claim's metric is probably none that a task's own file gives its scorers; empty where nothing speaks against it."""
    if claim.metric.encode() in source:
        return ""
    called = called_names(source)
    given = dict.fromkeys(METRIC[name] for name in METRIC if name in called)
    about = f"the claim is about metric {claim.metric}, which task {claim.task}"
    if given and b"metric" not in source and "scorer" not in called:
        return "" if claim.metric in given else f"{about} does not seem to have{_instead(claim.metric, given)}"
    usual = {*METRIC.values(), *given}
    near = "" if claim.metric in usual else _near(claim.metric, sorted(usual))
    return f"{about} need not have{near}" if near else ""


def _own_problems(scorer: Scorer, content: bytes | None) -> Iterator[tuple[str, str]]:
    """What is wrong with a scorer of the lab's own, as far as the text of its file tells."""
    if content is None:
        return  # said where the file was looked for
    try:
        functions = scorer_functions(content)
    except ValueError as error:
        yield "name", f"{scorer.source} is {error}"
        return
    if scorer.entry not in functions:
        yield "name", f"{scorer.source} has no @scorer function {scorer.entry!r}{_instead(scorer.entry, functions)}"
        return
    signature = functions[scorer.entry]
    for name in scorer.args:
        if not signature.accepts(name):
            yield f"args.{name}", f"scorer {scorer.name} has no argument {name!r}{_instead(name, signature.parameters)}"
    if missing := [name for name in signature.required if name not in scorer.args]:
        yield "args", f"scorer {scorer.name} needs {' and '.join(missing)} among its args"


def _argument_problems(scorer: Scorer, known: Mapping[str, Argument]) -> Iterator[tuple[str, str]]:
    for name, value in scorer.args.items():
        if name not in known:
            yield f"args.{name}", f"scorer {scorer.name} has no argument {name!r}{_instead(name, known)}"
        elif not known[name].takes(value):
            text = f"scorer {scorer.name}: {name} is {known[name].expected}, not {shown(value)}{_near(str(value), known[name].choices)}"
            yield f"args.{name}", text
    for name, argument in known.items():
        if argument.required and name not in scorer.args:
            why = "; without it the evaluated model would grade itself" if name == "model" else ""
            yield "args", f"scorer {scorer.name} needs {name} among its args: {argument.expected}{why}"


def _instead(name: str, known: Iterable[str]) -> str:
    names = list(known)
    return _near(name, names) or f" (it has: {', '.join(names) or 'none'})"


def _near(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f"; did you mean {near}?" if near else ""

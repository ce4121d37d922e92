"""commit-msg and prepare-commit-msg: a commit that changes the state records a legal step, and one that changes the design says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ckgit.errors import DesignError
from ckgit.experiment.lifecycle import NO_STATE, STEP_TRAILERS, TRAILERS, Event, is_closed, state_of, step_problem
from ckgit.experiment.state import State
from ckgit.formats.listing import escaped
from ckgit.lab.branches import last_recorded
from ckgit.lab.git.objects import read_object
from ckgit.lab.git.trailers import Trailers, parse_trailers
from ckgit.lab.hooks.message import Message, trailers_of
from ckgit.lab.hooks.staged import Staged, staged_content
from ckgit.lab.secrets import find_secrets
from ckgit.lab.summary.state import state_in
from ckgit.orchestrators.review.hooks.files import found
from ckgit.orchestrators.review.hooks.staged import SUMMARY, is_body_alone

if TYPE_CHECKING:
    from ckgit.experiment.outputs.findings import Finding
    from ckgit.lab.summary.file import SummaryFile

_NOT_OURS = ("merge", "squash", "commit")  # sources of messages that git or an earlier commit has written
_FIXES = ("fixup!", "squash!", "amend!")


def message_findings(commit: Staged, message: Message) -> Iterator[Finding]:
    """What speaks against a commit's message."""
    for place in find_secrets({"": message.text.encode(errors="surrogateescape")}):
        yield found("secret", f"line {place.line} of the message has {place.rule}: {place.masked}")
    path = f"{commit.folder}/{SUMMARY}"
    content = staged_content(commit, path)
    try:
        state = None if content is None else state_in(content, path)
    except DesignError:
        return  # pre-commit has told it
    block = trailers_of(commit.root, message)
    recorded = parse_trailers(block, commit.name)
    before = [_state_at(commit, parent) for parent in commit.parents] or [NO_STATE]
    if recorded:
        yield from _step_findings(commit, recorded, before, state, content or b"")
    elif any(line.startswith(TRAILERS) for line in block.splitlines()):
        keys = ", ".join(STEP_TRAILERS)
        yield found("step", f"its trailers are no step of {commit.name}: {keys} must be there, each once, with this name")
    elif state and state not in map(state_of, before) and not (state is State.DESIGNED and NO_STATE in before):
        yield found("state", f"the state goes from {state_of(before[0])} to {state}, and the message records no step", path=path)


def _step_findings(commit: Staged, recorded: Trailers, before: list[str], state: State | None, content: bytes) -> Iterator[Finding]:
    again = commit.head != "" and last_recorded(commit.root, commit.name, commit.head) == (commit.head, recorded)
    wrong = [step_problem(recorded.event, recorded.source, recorded.target, None if again else each) for each in before]
    if all(wrong):
        yield found("step", f"the message cannot record this step: {wrong[0]}")
    elif recorded.target != state:
        what = f"the message records a step to {recorded.target}, and the summary says {state or 'nothing'}"
        yield found("step", what, path=f"{commit.folder}/{SUMMARY}")
    elif (summary := _parsed(content)) and summary.summary.digest != recorded.design:
        what = f"Ckgit-Design is {recorded.design[:12]}, and the hash of the staged design is {summary.summary.digest}"
        yield found("step", what, path=f"{commit.folder}/{SUMMARY}")


def _state_at(commit: Staged, parent: str) -> str:
    """Where the experiment stood at a parent, as the lifecycle calls it."""
    _, recorded = last_recorded(commit.root, commit.name, parent)
    if recorded:
        return recorded.standing
    return NO_STATE if read_object(commit.root, f"{parent}:{commit.folder}/{SUMMARY}") is None else State.DESIGNED


def _parsed(content: bytes) -> SummaryFile | None:
    from ckgit.lab.summary.file import SummaryFile

    try:
        return SummaryFile.parse(content, SUMMARY)
    except DesignError:
        return None


def prepared(commit: Staged, message: Message, source: str) -> Message | None:
    """A message for somebody who has changed the design by hand, with the trailers of that step; None where there is nothing to add.

    Args:
        source: where the message comes from, as git says it; empty where it is yet to be written.
    """
    path = f"{commit.folder}/{SUMMARY}"
    if source in _NOT_OURS or commit.merged or message.text.startswith(_FIXES) or path not in (file.path for file in commit.files):
        return None
    content = staged_content(commit, path) or b""
    if "Ckgit-" in trailers_of(commit.root, message) or is_body_alone(commit, content):
        return None
    if (summary := _parsed(content)) is None or (step := _design_step(commit, summary)) is None:
        return None
    from ckgit.lab.commit import step_message
    from ckgit.lab.context import changed_places

    before = read_object(commit.root, f"{commit.head}:{path}") if commit.head else None
    places = "\n".join(f"- {escaped(place)}" for place in changed_places(before or b"", summary.summary))
    whole = step_message(commit.name, step, places)
    if not message.text.strip():
        return message._replace(text=whole)
    joint = "\n" if trailers_of(commit.root, message) else "\n\n"
    return message._replace(text=message.text.rstrip() + joint + whole.rpartition("\n\n")[2])


def _design_step(commit: Staged, file: SummaryFile) -> Trailers | None:
    """The step that a change of the design by hand is; None where it is none that can be made so."""
    before = _state_at(commit, commit.head) if commit.head else NO_STATE
    _, recorded = last_recorded(commit.root, commit.name, commit.head) if commit.head else ("", None)
    known = recorded is not None and (recorded.target, recorded.design) == (State.DESIGNED, file.summary.digest)
    if file.summary.state is not State.DESIGNED or known or is_closed(before):
        return None
    event = Event.DESIGN if before == NO_STATE else Event.REVISE
    return Trailers(event, before, State.DESIGNED, file.summary.digest)

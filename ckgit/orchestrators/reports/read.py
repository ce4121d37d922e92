"""A report as its branch has it, also of an experiment that is closed, merged, or on a remote alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ckgit.analysis.pages.report_page import REPORT, made_from, page_of, report_body, section
from ckgit.analysis.reading.sections import ANSWER
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.state import State
from ckgit.formats.markdown import foreign
from ckgit.lab.history.closings import Closing, closing_of
from ckgit.lab.history.hand_edits import HandEdit, edit_lines, restored, written
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.orchestrators.engine.experiment import open_snapshot

_BEGINNING = ("Question", ANSWER)
_PLAIN = re.compile(r"\w[\w.-]*")  # a file's name: who made the branch may have put `..` into it, and they are written to disk
_LONGEST = 1000  # characters of why it was closed


class CommittedReport(NamedTuple):
    """What analyze committed."""

    snapshot: Snapshot
    files: Mapping[str, bytes]  # of `analysis/`, by name
    edited: Sequence[HandEdit]  # those of them that are not as ckgit left them
    closing: Closing | None  # the step that closed the experiment; None where it is open

    @property
    def text(self) -> str:
        """The report, as Markdown."""
        return self.files[REPORT].decode(errors="replace")

    @property
    def beginning(self) -> str:
        """Question and answer, as Markdown; of a report of before there were answers, what became of its claims."""
        found = [text for title in _BEGINNING if (text := section(self.text, title))]
        return "\n\n".join(found if len(found) > 1 else [*found, section(self.text, "Claims")]).strip()

    def page(self, *, unfolded: bool = False) -> bytes:
        """The report as HTML that needs no other file: the committed page, unless there is something to be known first.

        It is made again of the committed Markdown and pictures: somebody may have put anything into a committed page.

        Args:
            unfolded: whether all of it is open, as for paper.
        """
        return page_of(self.snapshot.name, self.files, self._notice(), unfolded=unfolded)

    def body(self, heading: str) -> str:
        """What is in that page, as HTML, for another one, with a heading of that level."""
        pictures = {name: content for name, content in self.files.items() if name.endswith(".svg")}
        made = made_from(self.snapshot.name, self.files)
        return report_body(self.snapshot.name, self.text, pictures, made, self._notice(), heading=heading)

    def _notice(self) -> str:
        """What a reader has to know first."""
        closed = [f"**Closed on {self.closing.date:%Y-%m-%d}:** {foreign(self.closing.because, _LONGEST)}"] if self.closing else []
        edited = [f"**Not as ckgit wrote it:** {foreign(line)}" for line in edit_lines(self.edited)]
        return "\n\n".join([*closed, *edited])


def read_report(lab: Lab, name: str) -> CommittedReport:
    """The report of an experiment.

    Raises:
        CkgitError: ILLEGAL_TRANSITION, it is not analyzed; EVIDENCE_MISSING, somebody has removed its report; or as `open_snapshot`.
    """
    snapshot = open_snapshot(lab, name, kept=True)
    if snapshot.state is not State.ANALYZED:
        raise _too_early(snapshot)
    folder = f"{snapshot.folder}/analysis/"
    listed = [path for path in snapshot.list(folder) if _PLAIN.fullmatch(path.removeprefix(folder))]
    files = {path.removeprefix(folder): content for path, content in snapshot.read_many(listed).items()}
    changed = written(snapshot).edits if snapshot.by_hand or snapshot.rewritten else ()
    edited = [edit for edit in changed if edit.path.startswith(folder)]
    if REPORT not in files:
        raise CkgitError(
            "its report is not on the branch any more",
            code=Exit.EVIDENCE_MISSING,
            where=f"{snapshot.revision}:{folder}{REPORT}",
            state="nothing was written",
            next=restored(name, edited) if edited else f"git log {snapshot.revision} -- {folder}{REPORT} shows which commit removed it",
        )
    return CommittedReport(snapshot, files, edited, closing_of(snapshot))


def _too_early(snapshot: Snapshot) -> CkgitError:
    name, reopened = snapshot.name, f"ckgit close {snapshot.name} --reopen, then "
    return CkgitError(
        f"{name} is {snapshot.state}, and a report is written when it is analyzed",
        code=Exit.ILLEGAL_TRANSITION,
        state="nothing was written",
        next=f"{reopened if closing_of(snapshot) else ''}ckgit advance {name} --to analyzed; ckgit show {name} says what there is so far",
    )

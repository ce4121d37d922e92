"""The message of a commit that is being made, as git keeps it for its hooks: with comments that git takes out later."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ckgit.lab.git.command import git, run_git

_SCISSORS = "------------------------ >8 ------------------------"


class Message(NamedTuple):
    """A message in two parts."""

    text: str  # what is kept
    comments: str  # from the first line on that git takes out, with all that follows; may be empty


def read_message(root: Path, file: Path) -> Message:
    """The message in a file."""
    sign = _comment_sign(root)
    lines = file.read_bytes().decode(errors="surrogateescape").split("\n")
    ends = next((at for at, line in enumerate(lines) if line == f"{sign} {_SCISSORS}"), len(lines))
    first = next((at for at, line in enumerate(lines) if line.startswith(sign)), len(lines))
    after = [line for line in lines[first:ends] if not line.startswith(sign)]
    if any(after):  # comments in the midst of it
        return Message("\n".join(line for line in lines[:ends] if not line.startswith(sign)), "\n".join(lines[ends:]))
    return Message("\n".join(lines[:first]), "\n".join(lines[first:]))


def write_message(file: Path, message: Message) -> None:
    """Write a message back."""
    text = f"{message.text.rstrip()}\n" + (f"\n{message.comments}" if message.comments else "")
    file.write_bytes(text.encode(errors="surrogateescape"))


def trailers_of(root: Path, message: Message) -> str:
    """The last paragraph of a message, where git takes it for trailers; else nothing."""
    given = f"{message.text.strip()}\n".encode(errors="surrogateescape")
    options = ("--only-trailers", "--only-input", "--no-divider")
    return git(root, "interpret-trailers", *options, stdin=given).decode(errors="replace")


def _comment_sign(root: Path) -> str:
    """What the user has lines begin with that are no part of a message; ckgit's own calls of git set `#`, last of all."""
    values = run_git(root, ("config", "--get-all", "core.commentChar")).stdout.decode(errors="replace").split("\n")[:-1]
    return values[-2] if len(values) > 1 and values[-2] != "auto" else "#"

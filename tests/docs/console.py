"""Console blocks of a page: the commands in them, run by one shell, and the output that the page shows.

A line that begins with `$ ` is a command, `> ` goes on with it, all else is output. `...` stands for lines left out. Numbers and
digests differ from run to run, so only the rest of a line counts. A command ends with 0 unless the next one is `echo $?`.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MARK = "--- ckgit tutorial"
_CHANGING = re.compile(r"\b[0-9a-f]{7,64}\b|\d+(\.\d+)?")
_LINES_SHOWN = 40


class Step(NamedTuple):
    """One command of a page."""

    command: str
    expected: tuple[str, ...]  # lines that the output must have, in this order


def blocks(page: str) -> list[str]:
    """The console blocks of a Markdown page, without their fences."""
    return _BLOCK.findall(page)


def steps(page: str) -> list[Step]:
    """The commands of a Markdown page in their order."""
    found: list[Step] = []
    for block in blocks(page):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Step(line[2:], ()))
            elif line.startswith("> ") or line == ">":
                found[-1] = found[-1]._replace(command=f"{found[-1].command}\n{line[2:]}")
            elif line.strip() and line.strip() != "...":
                found[-1] = found[-1]._replace(expected=(*found[-1].expected, line))
    return found


def run(page_steps: Sequence[Step], folder: Path, *, limit: float, environment: Mapping[str, str] | None = None) -> list[tuple[str, int]]:
    """Output (both streams) and exit code of each command, run in one bash that starts in `folder` and goes on after errors.

    Args:
        page_steps: the commands.
        folder: where the shell starts.
        limit: seconds for all of them.
        environment: the shell's; this process's where absent.
    """
    script = "".join(f"{step.command}\n_code=$?; echo; echo '{_MARK}' $_code; (exit $_code)\n" for step in page_steps)
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, timeout=limit, check=False, **pipes)
    # a page that ends the shell early gives fewer results than steps, which `problems` refuses
    parts = re.split(rf"\n{_MARK} (\d+)\n", done.stdout.decode(errors="replace"))
    return [(parts[i], int(parts[i + 1])) for i in range(0, len(parts) - 1, 2)]


def missing(expected: Sequence[str], output: str) -> list[str]:
    """Lines that the page shows and the output does not have in that order."""
    seen = (_shape(line) for line in output.replace("\r", "\n").splitlines())
    return [line for line in expected if not any(_matches(_shape(line), other) for other in seen)]


def _shape(line: str) -> str:
    return " ".join(_CHANGING.sub("0", line).split())


def _matches(shown: str, real: str) -> bool:
    """`...` inside a line stands for any text."""
    return re.fullmatch(".*".join(re.escape(part) for part in shown.split("...")), real) is not None


def problems(page_steps: Sequence[Step], results: Sequence[tuple[str, int]]) -> Iterator[str]:
    """What is not as the page says, each with the real output's end."""
    for position, (step, (output, code)) in enumerate(zip(page_steps, results, strict=True)):
        told = position + 1 < len(page_steps) and page_steps[position + 1].command == "echo $?"
        lost = missing(step.expected, output)
        end = "\n".join(output.splitlines()[-_LINES_SHOWN:])
        if code and not told:
            yield f"$ {step.command}\nended with {code}:\n{end}"
        elif lost:
            yield f"$ {step.command}\nno longer prints {lost}, but:\n{end}"

"""The pictures of README.md and of the site, from an experiment that is run for them: `make pictures`.

What a terminal shows is the output of the commands, and the report's pictures are the report's. tests/test_quickstart.py holds both
against what the quickstart prints and draws.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

from ckgit.examples.quickstart import EXAMPLES
from docs.generate import ROOT

PICTURES = ROOT / "docs" / "pictures"
COLUMNS = 130  # what does not fit ends with an ellipsis
EXAMPLE = EXAMPLES["tiny"]
NAME = EXAMPLE.experiment
DESIGN = EXAMPLE.template.name
SHOWN = (("design", NAME, "--from", DESIGN), ("advance", NAME, "--to", "analyzed"), ("show", NAME))
END = "[95 % over rows]: "  # what is below it is not shown
ON_THE_WAY = (": queued", ": running")  # nor lines that end so
# Of rich's own form without the fonts that it would have a browser fetch.
FORM = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def run(lab: Path, *words: str) -> str:
    """What a command prints, in a lab."""
    command = [sys.executable, "-m", "ckgit", *words]
    return subprocess.run(command, cwd=lab, check=True, encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout


def make_lab(folder: Path) -> Path:
    """The lab of the quickstart before its experiment is designed."""
    lab, model = folder / EXAMPLE.folder, ROOT / ".cache" / EXAMPLE.model
    if not model.exists():
        subprocess.run([sys.executable, "-m", EXAMPLE.maker, model], check=True)
    run(folder, "init", lab.name, "--slots", "2")
    run(lab, "models", "add", EXAMPLE.model, str(model))
    shutil.copy(EXAMPLE.template, lab / DESIGN)
    return lab


def terminal(outputs: Sequence[str]) -> str:
    """A picture of a terminal on which the commands were given."""
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere)
        for words, output in zip(SHOWN, outputs, strict=True):
            console.print(Text(f"$ ckgit {' '.join(words)}", style="bold green"))
            lines = output.partition(END)[0].rstrip().splitlines()
            console.print(Text("\n".join(line for line in lines if not line.endswith(ON_THE_WAY))), no_wrap=True, overflow="ellipsis")
            console.print()
    return console.export_svg(title="ckgit", code_format=FORM, unique_id="ckgit")


def main() -> None:
    """Run the experiment and write the pictures."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        lab = make_lab(Path(folder))
        (PICTURES / "terminal.svg").write_text(terminal([run(lab, *words) for words in SHOWN]), encoding="utf-8")
        for name in ("scores", "loss"):
            drawn = ["git", "show", f"exp/{NAME}:experiments/{NAME}/analysis/{name}.svg"]
            (PICTURES / f"{name}.svg").write_bytes(subprocess.run(drawn, cwd=lab, check=True, capture_output=True).stdout)


if __name__ == "__main__":
    main()

"""Write what the docs take from the code: `python -m docs.generate`, or with `--check` say what has fallen behind."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from ckgit.experiment.lifecycle import diagram
from ckgit.experiment.schemas import MODELS, schema
from ckgit.lab.init import workflows
from docs.reference import exit_advice, failure_advice, reference, rules
from docs.result_tables import result_tables
from docs.trainers import trainer_table

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "ckgit" / "lab" / "templates"
BLOCK = re.compile(r"(<!-- (lifecycle|smollm2|rules|exit-codes|failures|tables|trainers) -->\n).*?(<!-- /\2 -->)", re.DOTALL)


def generated() -> dict[Path, str]:
    """Every file that is made from code wholly or in part, with the text it must have."""
    pages = {ROOT / "docs" / "reference.md": reference()}
    parts = {"lifecycle": f"```mermaid\n{diagram()}```\n", "smollm2": f"```yaml\n{(TEMPLATES / 'smollm2.yaml').read_text()}```\n"}
    parts |= {"tables": result_tables(), "trainers": trainer_table()}
    parts |= {"rules": rules(), "exit-codes": exit_advice(), "failures": failure_advice()}
    names = ("architecture", "troubleshooting", "verify", "results", "trainers")
    for page in (ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in names)):
        pages[page] = BLOCK.sub(lambda found: found[1] + parts[found[2]] + found[3], page.read_text())
    ours = {ROOT / path: content.decode() for path, content in workflows("github").items()}  # ckgit is reviewed as labs are
    return pages | ours | {ROOT / "schemas" / f"{name}.json": schema(name).decode() for name in MODELS}


def stale() -> list[Path]:
    """Files that are not what the code says."""
    return [path for path, text in generated().items() if not path.exists() or path.read_text() != text]


def main() -> None:
    """Write the files, or check them."""
    behind = stale()
    if "--check" in sys.argv:
        for path in behind:
            print(f"{path.relative_to(ROOT)} is not what the code says: run `make docs`", file=sys.stderr)
        sys.exit(bool(behind))
    for path, text in generated().items():
        if path in behind:
            path.write_text(text)
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

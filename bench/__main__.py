"""`python -m bench`: what each operation costs, beside its floor. Takes some minutes, most of them to make the labs.

`python -m bench jobs` measures what ckgit adds to a training and to an evaluation instead; it runs the quickstart first.
`python -m bench analysis` measures what follows when the logs are read.
`python -m bench results` measures what questions to 1,000 experiments' results cost; with `--peers` also what they cost other tools, which
are installed for that.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from pathlib import Path

from bench import analysis, jobs, results
from bench.labs import git
from bench.measure import table
from bench.operations import make_labs, rows


def main() -> None:
    """Measure in a temporary folder with an environment of its own."""
    with tempfile.TemporaryDirectory(prefix="ckgit-bench-") as temporary:
        folder = Path(temporary)
        _isolate(folder)
        print(f"ckgit bench: Python {platform.python_version()}, {git(folder, 'version')}, {os.cpu_count()} cores", flush=True)
        if sys.argv[1:] == ["jobs"]:
            print(table(list(jobs.rows(folder))))
            return
        if sys.argv[1:] == ["analysis"]:
            print(table(list(analysis.rows(folder))))
            return
        if sys.argv[1:2] == ["results"]:
            print(table([*results.rows(folder), *(results.peers(folder) if "--peers" in sys.argv else ())]))
            return
        print("Making a small lab, and one of 10,000 files and 1,000 experiments.", file=sys.stderr)
        print(table(list(rows(make_labs(folder)))))


def _isolate(folder: Path) -> None:
    """The user's configuration must not change the figures, nor the bench the user's files."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed ckgit has its bytecode
    os.environ.update(HOME=str(folder), XDG_DATA_HOME=str(folder / "data"), GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")
    for role in ("AUTHOR", "COMMITTER"):
        os.environ.update({f"GIT_{role}_NAME": "bench", f"GIT_{role}_EMAIL": "bench@localhost"})


if __name__ == "__main__":
    main()

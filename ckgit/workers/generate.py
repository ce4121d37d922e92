"""Makes data by a function of the lab, in a process of its own that has of the user's environment no more than a job has.

`python -m ckgit.workers.generate OUTPUT`, in a folder with the function's file, is told the rest on standard input as JSON: `file`,
`function`, `args` and `seed`. The function takes the arguments by name and `seed`, and hands back a list of rows, or splits of them.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ckgit.jobs.environment import KEPT

LIMIT = 600.0  # seconds
MOST_BYTES = 20_000_000  # that git should keep
_SHOWN = 2_000  # characters of what a failed function printed


class GeneratorError(ValueError):
    """The function cannot be called, or makes no rows; the message says why."""


def generate(files: Mapping[str, bytes], function: str, args: Mapping[str, Any], seed: int) -> bytes:
    """The bytes of a `.json` data file.

    Args:
        files: the function's file and what it may import, by path.
        function: `FILE@NAME`.
        args: given by name.
        seed: given as `seed`.

    Raises:
        GeneratorError: it failed, took too long, or made too much.
    """
    file, _, name = function.partition("@")
    with tempfile.TemporaryDirectory() as folder:
        for path, content in files.items():
            (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / path).write_bytes(content)
        output = Path(folder) / ".made.json"
        told = json.dumps({"file": file, "function": name, "args": dict(args), "seed": seed}).encode()
        environment = {key: os.environ[key] for key in KEPT if key in os.environ} | {"PYTHONHASHSEED": "0"}
        command = [sys.executable, "-P", "-s", "-m", "ckgit.workers.generate", str(output)]
        try:
            done = subprocess.run(command, cwd=folder, env=environment, input=told, capture_output=True, timeout=LIMIT, check=False)
        except subprocess.TimeoutExpired:
            raise GeneratorError(f"{function} was not done after {LIMIT:.0f} seconds") from None
        if done.returncode:
            raise GeneratorError(f"{function} failed: {done.stderr.decode(errors='replace').strip()[-_SHOWN:]}")
        content = output.read_bytes()
    if len(content) > MOST_BYTES:
        raise GeneratorError(f"{function} makes {len(content):,} bytes, and git should keep no more than {MOST_BYTES:,}; make fewer rows")
    return content


def text(made: Any) -> str:
    """Rows as JSON, a row a line.

    Raises:
        TypeError, ValueError: they are no rows, or hold what JSON cannot.
    """
    if isinstance(made, Mapping):
        splits = (f"{json.dumps(str(split), ensure_ascii=False)}: {_rows(rows)}" for split, rows in made.items())
        return f"{{{', '.join(splits)}}}\n"
    return f"{_rows(made)}\n"


def _rows(rows: Any) -> str:
    lines = [json.dumps(dict(row), ensure_ascii=False, allow_nan=False) for row in rows]
    return "[\n" + ",\n".join(lines) + "\n]"


def main(output: Path) -> None:
    """Call the function and write what it makes."""
    told = json.load(sys.stdin)
    sys.path.append(str(Path.cwd()))
    spec = importlib.util.spec_from_file_location("generator", told["file"])
    if spec is None or spec.loader is None:
        sys.exit(f"{told['file']} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, told["function"], None)
    if function is None:
        sys.exit(f"{told['file']} has no function {told['function']}")
    output.write_text(text(function(**told["args"], seed=told["seed"])), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

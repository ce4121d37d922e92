"""Dataframes of a lab, and the example notebook, executed as a reader would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ckgit
from ckgit.errors import CkgitError
from tests.orchestrators.bench import Bench

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs/notebooks/results.ipynb"


def test_importing_ckgit_imports_nothing_else() -> None:
    code = "import sys, ckgit; print([name for name in sys.modules if name.startswith(('ckgit.', 'pydantic', 'duckdb', 'pandas'))])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_dataframes_of_pandas_and_of_polars(many: Path) -> None:
    import pandas as pd
    import polars as pl

    lab = ckgit.open(many)
    frame, other = lab.results(), lab.results(engine="polars")
    assert isinstance(frame, pd.DataFrame)
    assert isinstance(other, pl.DataFrame)
    assert list(frame.columns) == other.columns
    assert frame["value"].tolist() == other["value"].to_list()
    assert len(lab.results(where="lora_rank=2")) == 15
    assert list(lab.results(columns="run, lora_rank").columns) == ["run", "lora_rank"]
    assert list(lab.results(where=["lora_rank=2", "epoch = 4"], columns=["experiment", "lora_rank", "value"]).columns) == [
        *("experiment", "lora_rank", "value")
    ]
    assert len(lab.table("samples")) == 240
    assert lab.sql("SELECT max(value) AS best FROM metrics")["best"].tolist() == [frame["value"].max()]
    with pytest.raises(CkgitError, match="there is no table 'sample'"):
        lab.table("sample")
    with pytest.raises(CkgitError, match="there is no engine"):
        lab.table("samples", engine="arrow")  # type: ignore[arg-type]


def test_the_notebook_runs(real: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(real.folder)}}).execute()
    told = json.dumps([cell.get("outputs") for cell in notebook.cells])
    assert "demo" in told
    assert "image/png" in told

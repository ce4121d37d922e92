"""Rows in other programs' formats: nothing of what names and answers hold is obeyed by a spreadsheet, a typesetter or a terminal."""

from __future__ import annotations

import csv
import datetime
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

import ckgit
from ckgit.results.asking import AnsweredRows
from ckgit.results.exports import as_csv, as_json, as_latex, as_parquet, latex
from ckgit.results.tables import TABLES
from tests.command_line import ckgit as command

HOSTILE = [
    *("=HYPERLINK(1)", "+1+1", "-1-cmd|'/C calc'!A1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", 'a"b,c\nd', "\uff1d1", "-", "-1.e", "-\u0661"),
    *("\\input{/etc/passwd}", "50% & $x_1^2$ #~{}", "\x1b[31mred", "naïve 日本"),
]
MOMENT = datetime.datetime(2026, 11, 30, 12, 0, 0)  # noqa: DTZ001 - as DuckDB gives them
ANSWER = AnsweredRows(
    ["text", "number", "count", "yes", "when", "document"],
    ["VARCHAR", "DOUBLE", "BIGINT", "BOOLEAN", "TIMESTAMP", "JSON"],
    [*[(text, -1.5, -2, True, MOMENT, '{"a": 1}') for text in HOSTILE], (None, float("nan"), None, None, None, None)],
)


def test_no_cell_begins_a_formula_and_numbers_stay_numbers() -> None:
    rows = list(csv.reader(io.StringIO(as_csv(ANSWER).decode(), newline="")))
    assert rows[0] == list(ANSWER.columns)
    texts = [row[0] for row in rows[1:-1]]
    assert [text.removeprefix("'") for text in texts] == HOSTILE
    assert not any(text.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d")) for text in texts)
    assert rows[1][1:] == ["-1.5", "-2", "true", "2026-11-30T12:00:00Z", '{"a": 1}']
    assert rows[-1] == [""] * 6


def test_numbers_in_a_column_of_text_stay_numbers() -> None:
    """As a parameter's are, which are asked of JSON."""
    numbers = ["-1", "+0.5", "-1e-05", "-.5", "3."]
    answer = AnsweredRows(["-name"], ["VARCHAR"], [*((number,) for number in numbers), (datetime.timedelta(days=-1),)])
    rows = [row[0] for row in csv.reader(io.StringIO(as_csv(answer).decode(), newline=""))]
    assert rows == ["'-name", *numbers, "'-1 day, 0:00:00"]


def test_json_has_null_for_what_is_no_number_and_documents_as_such() -> None:
    rows = json.loads(as_json(ANSWER), parse_constant=pytest.fail)
    assert [row["text"] for row in rows[:-1]] == HOSTILE
    assert rows[0] | {"text": ""} == {
        "text": "", "number": -1.5, "count": -2, "yes": True, "when": "2026-11-30T12:00:00Z", "document": {"a": 1}
    }
    assert rows[-1] == dict.fromkeys(ANSWER.columns)


def test_latex_has_no_command_of_others() -> None:
    text = as_latex(ANSWER).decode()
    lines = text.splitlines()
    assert lines[0] == r"\begin{tabular}{lrrlll}"
    assert lines[-1] == r"\end{tabular}"
    body = lines[4 : 4 + len(HOSTILE)]
    assert all(line.endswith(r" \\") and line.replace(r"\&", "").count("&") == 5 for line in body)
    assert r"\textbackslash{}input\{/etc/passwd\}" in text
    assert r"50\% \& \$x\_1\textasciicircum{}2\$ \#\textasciitilde{}\{\}" in text
    assert r"& $-$1.5 & $-$2 &" in text
    assert "\x1b" not in text


def test_no_sign_of_latex_is_left_as_it_stands() -> None:
    """Ten are special to TeX, others to babel or as ligatures, and two belong to the end of the line before."""
    found = latex("".join(map(chr, range(32, 127))))
    commands = re.compile(r"\\(?:[#$%&_{}]|text[a-z]+\{\}|symbol\{34\})|\{[-*\[]\}")
    left = commands.sub("", found)
    assert not {*left} & {*"\\{}$&#%_^~<>|\"'`-[*"}
    assert len(commands.findall(found)) == len({*"\\{}$&#%_^~<>|\"'`-[*"})
    table = as_latex(AnsweredRows(["[a]"], ["VARCHAR"], [("[2em] x",), ("* y",)])).decode().splitlines()
    assert table[2:6] == [r"{[}a] \\", r"\midrule", r"{[}2em] x \\", r"{*} y \\"]


def test_parquet_has_the_same_rows(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    file.write_bytes(as_parquet(ANSWER))
    found = duckdb.connect().execute('SELECT text, number, count, yes, "when" FROM read_parquet($1)', [str(file)]).fetchall()
    assert [row[0] for row in found[:-1]] == HOSTILE
    assert found[0][1:] == (-1.5, -2, True, MOMENT)


def test_each_format_of_the_command_and_a_file(many: Path, tmp_path: Path) -> None:
    for form in ("csv", "json", "latex", "table", "parquet"):
        file = tmp_path / f"rows.{form}"
        assert command("-C", str(many), "results", "--format", form, "--output", str(file)).returncode == 0
        assert file.stat().st_size > 500
    assert len(json.loads((tmp_path / "rows.json").read_text())) == 30
    printed = command("-C", str(many), "results", "--format", "csv").stdout
    assert (tmp_path / "rows.csv").read_text().splitlines() == printed.splitlines()


def test_the_locale_changes_nothing(many: Path) -> None:
    known = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.split()
    names = ["C.UTF-8", next((name for name in known if name.startswith(("de", "fr", "ru"))), "C")]
    words = [sys.executable, "-m", "ckgit", "-C", str(many), "results", "--format", "csv"]
    told = {subprocess.run(words, capture_output=True, check=True, env={**os.environ, "LC_ALL": name}).stdout for name in names}
    assert len(told) == 1


def test_an_exported_file_has_all_tables_and_nothing_else(many: Path, tmp_path: Path) -> None:
    file = tmp_path / "lab.duckdb"
    done = command("-C", str(many), "results", "--export", str(file))
    assert done.returncode == 0, done.stderr
    lab = ckgit.open(many)
    with duckdb.connect(str(file), read_only=True) as exported:
        for table in TABLES:
            query = f"FROM {table} ORDER BY ALL"
            assert exported.execute(query).fetchall() == lab.sql(query, engine="polars").rows()
        assert exported.execute("SELECT count(*) FROM results").fetchall() == [(30,)]
        assert {name for (name,) in exported.execute("SELECT DISTINCT table_schema FROM information_schema.tables").fetchall()} == {"main"}
    refused = command("-C", str(many), "results", "--export", str(tmp_path / "nowhere" / "lab.duckdb"))
    assert refused.returncode == 7

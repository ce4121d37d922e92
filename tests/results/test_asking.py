"""Questions in SQL and in plain conditions: what they give, what they can never do, and how they fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ckgit
from ckgit.errors import CkgitError
from tests.command_line import ckgit as command
from tests.orchestrators.bench import Bench


def shown(lab: Path, *words: str) -> list[list[str]]:
    done = command("-C", str(lab), "results", *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["rows"]


def refused(lab: Path, *words: str) -> str:
    done = command("-C", str(lab), *words)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


@pytest.mark.parametrize(
    ("conditions", "count"),
    [
        ([], 30),
        (["experiment=r0001"], 10),
        (["experiment=r000*", "epoch=4"], 6),
        (["experiment!=r000[01]"], 30),  # a bracket is no wildcard
        (["lora_rank=2"], 15),
        (["lora_rank<=2", "epoch>2"], 6),
        (["lr>1e-5"], 20),
        (["last=true"], 6),
        (["last"], 6),
        (["epoch IN (0, 1) AND run = 'rank3' -- a remark"], 6),
        (["value >= low AND value <= high"], 30),
        (["value>=low"], 30),
        (["metric=accuracy"], 30),
        (["metric!=acc*"], 0),
    ],
)
def test_conditions_are_plain_words_or_sql(many: Path, conditions: list[str], count: int) -> None:
    assert len(shown(many, *(word for each in conditions for word in ("--where", each)))) == count


def test_columns_and_order_may_be_parameters(many: Path) -> None:
    found = shown(many, "--columns", "run,lora_rank,value,lr", "--sort=-value,lora_rank", "--limit", "4")
    assert [each[0] for each in found] == [f"rank{each[1]}" for each in found]
    values = [each[2] for each in found]
    assert values == sorted((row[5] for row in shown(many)), reverse=True)[:4]


def test_runs_stand_in_the_order_of_the_design(lab_folder: Path) -> None:
    from bench.many_results import add_results

    add_results(lab_folder, range(1), runs=10, samples=2)
    names = list(dict.fromkeys(row[1] for row in shown(lab_folder)))
    assert names == [f"rank{rank}" for rank in range(2, 12)]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["results", "--where", "valu>1"], "there is no column 'valu'\n  state: nothing was read\n  next:  did you mean value?"),
        (["results", "--where", "lora_rnk=1"], "did you mean lora_rank?"),
        (["results", "--columns", "runn"], "did you mean run?"),
        (["results", "--columns", 'run" FROM runs --'], "there is no column"),
        (["results", "--sort", "1; SELECT 1"], "there is no column"),
        (["results", "--where", "value >"], "--where value >: syntax error"),
        (["results", "--where", "value > 1) OR (foo = 1"], "there is no column 'foo'"),
        (["sql", "SELECT expriment FROM runs"], "did you mean experiment?"),
        (["sql", "SELECT * FROM rns"], "did you mean runs?"),
        (["sql", "SELEC 1"], 'syntax error at or near "SELEC"'),
        (["sql", "SELECT 1; SELECT 2"], "one statement is answered at a time; these are 2"),
        (["sql", ""], "there is no statement"),
        (["sql", "SELECT run::INT FROM runs"], "Could not convert string 'rank2'"),
    ],
)
def test_what_is_asked_wrongly_is_said(many: Path, words: list[str], says: str) -> None:
    assert says in refused(many, *words)


FILES = ["SELECT * FROM read_csv('{0}')", "SELECT * FROM '{0}'", "SELECT * FROM read_text('{0}')", "SELECT * FROM glob('{1}/*')"]
WRITES = [
    *("COPY runs TO '{1}/out.csv'", "ATTACH '{1}/other.duckdb'", "EXPORT DATABASE '{1}/out'", "COPY (SELECT 1) TO '{1}/out.parquet'"),
    *("CREATE TABLE x(i INT)", "DELETE FROM runs", "DROP TABLE runs", "UPDATE runs SET run = ''", "INSERT INTO runs FROM runs"),
]
SETTINGS = [
    *("INSTALL httpfs", "LOAD httpfs", "SET enable_external_access = true", "SET lock_configuration = false", "PRAGMA threads = 1"),
    *("SELECT * FROM read_csv('https://localhost:1/x')", "FORCE INSTALL json FROM 'https://localhost:1'", "SELECT getenv('HOME')"),
]


@pytest.mark.parametrize("query", [*FILES, *WRITES, *SETTINGS])
def test_a_query_reads_the_tables_and_does_nothing_else(many: Path, query: str) -> None:
    folder = many.parent / "elsewhere"
    folder.mkdir()
    (folder / "secret.csv").write_text("a\nsecret\n")
    assert "secret\n" not in refused(many, "sql", query.format(folder / "secret.csv", folder))
    assert [path.name for path in folder.iterdir()] == ["secret.csv"]
    with pytest.raises(CkgitError):
        ckgit.open(many).sql(query.format(folder / "secret.csv", folder))
    assert [path.name for path in folder.iterdir()] == ["secret.csv"]
    assert len(shown(many)) == 30


def test_variables_of_the_process_are_no_tables(many: Path) -> None:
    import pandas as pd

    secrets = pd.DataFrame({"a": [1]})
    with pytest.raises(CkgitError, match="there is no table 'secrets'"):
        ckgit.open(many).sql("SELECT * FROM secrets")
    assert len(secrets) == 1


def test_a_lab_without_results_says_what_to_do(bench: Bench) -> None:
    told = bench.ckgit("results")
    assert told.stdout == ""
    assert "no experiment has results yet: they are there when one is analyzed. ckgit advance demo --to analyzed" in told.stderr


def test_a_lab_without_experiments_says_what_to_do(lab_folder: Path) -> None:
    done = command("-C", str(lab_folder), "results")
    assert (done.returncode, done.stdout) == (0, "")
    assert "no experiments yet; `ckgit design NAME` makes the first one" in done.stderr
    earlier = command("-C", str(lab_folder), "results", "--as-of", "2020-01-01")
    assert earlier.stderr == "no experiment had results as of 2020-01-01; `ckgit results` shows those of now\n"
    assert command("-C", str(lab_folder), "sql", "SELECT count(*) n FROM experiments").stdout == "n\n0\n"


def test_a_query_may_come_from_a_pipe(many: Path) -> None:
    done = command("-C", str(many), "sql", "-", "--format", "csv", stdin="SELECT count(*) AS n FROM cells")
    assert done.stdout.split() == ["n", "30"]

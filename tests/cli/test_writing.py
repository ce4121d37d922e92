"""Files that an option names: whole or not at all, over nothing of anybody else's, and said."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from bench.many_results import add_results
from ckgit.cli.output.writing import refuse_others, replacing, write_file, write_files, write_new
from ckgit.errors import CkgitError, Exit
from ckgit.lab.lab import Lab, open_lab
from tests.command_line import ckgit


@pytest.fixture
def many(lab_folder: Path) -> Path:
    add_results(lab_folder, range(2), runs=2, samples=8)
    return lab_folder


WRITING = {  # commands that write one file, in place of OUT
    "csv": ("results", "--format", "csv", "--output", "OUT"),
    "json": ("results", "--format", "json", "--output", "OUT"),
    "latex": ("results", "--format", "latex", "--output", "OUT"),
    "parquet": ("results", "--format", "parquet", "--output", "OUT"),
    "table": ("results", "--output", "OUT"),
    "sql": ("sql", "FROM runs", "--format", "csv", "--output", "OUT"),
    "export": ("results", "--export", "OUT"),
    "sarif": ("verify", "r0000", "--sarif", "OUT"),
    "review": ("review", "r0000", "--html", "OUT"),
    "annotations": ("review", "r0000", "--annotations", "OUT"),
}


@pytest.mark.parametrize("words", WRITING.values(), ids=WRITING)
def test_what_somebody_else_wrote_is_left_alone_and_what_ckgit_wrote_is_written_again(
    many: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    file = tmp_path / "out"
    called = [str(file) if word == "OUT" else word for word in words]
    first = ckgit("-C", str(many), *called)
    assert first.returncode in (Exit.DONE, Exit.NOT_VERIFIED), first.stderr
    assert str(file) in first.stdout + first.stderr  # it is said
    content = file.read_bytes()
    assert ckgit("-C", str(many), *called).returncode == first.returncode  # ckgit's own
    file.write_bytes(content + b"my own line\n")
    refused = ckgit("-C", str(many), *called)
    assert refused.returncode == Exit.USAGE
    assert "a file is there that ckgit did not write, or that was changed since" in refused.stderr
    assert "next:  name another file, or move this one away" in refused.stderr
    assert file.read_bytes() == content + b"my own line\n"
    assert refused.stdout == ""
    file.write_bytes(b"")  # as mktemp leaves one
    assert ckgit("-C", str(many), *called).returncode == first.returncode
    assert [path.name for path in tmp_path.glob("*") if path.is_file()] == ["out"]
    folder = [str(tmp_path / "lab") if word == "OUT" else word for word in words]
    assert ckgit("-C", str(many), *folder).returncode == Exit.USAGE


def test_it_is_said_how_much_was_written(many: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    done = ckgit("-C", str(many), "results", "--format", "csv", "--output", str(file))
    assert done.stdout == f"{file}: 20 rows, {file.stat().st_size:,} bytes\n"
    none = tmp_path / "none.txt"
    done = ckgit("-C", str(many), "results", "--where", "value > 2", "--output", str(none))
    assert (done.stdout, none.read_text()) == (f"{none}: 0 rows, 7 bytes\n", "no row\n")
    assert "no result meets these conditions" in done.stderr
    told = json.loads(ckgit("-C", str(many), "verify", "r0000", "--sarif", str(tmp_path / "x.sarif"), "--json").stdout)["notes"]
    assert told == [f"findings written to {tmp_path / 'x.sarif'}"]


@pytest.mark.parametrize("words", [("--output", "rows.csv"), ("--format", "csv")])
def test_a_document_goes_into_no_file_and_no_other_format(many: Path, words: tuple[str, ...]) -> None:
    for command in (("results",), ("sql", "FROM runs")):
        done = ckgit("-C", str(many), *command, "--json", *words, folder=many)
        assert (done.returncode, done.stdout) == (Exit.USAGE, "")
        assert "--format json --output FILE" in done.stderr


def test_several_files_are_all_written_or_none(lab: Lab, tmp_path: Path) -> None:
    mine = tmp_path / "b"
    mine.write_text("mine")
    with pytest.raises(CkgitError, match="ckgit did not write"):
        write_files(lab, {tmp_path / "a": b"1", mine: b"2"})
    assert not (tmp_path / "a").exists()
    assert mine.read_text() == "mine"


def _half(file: Path) -> None:
    file.write_bytes(b"half")
    raise OSError(28, "No space left on device")


def test_who_is_cut_short_leaves_what_was_there(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "out"
    write_file(lab, file, b"before")
    with pytest.raises(CkgitError, match="No space left"), replacing(lab, file) as part:
        _half(part)
    assert file.read_bytes() == b"before"
    assert [*tmp_path.glob(".*")] == []
    write_file(lab, file, b"after")
    assert file.read_bytes() == b"after"


def test_a_link_is_followed_a_mode_is_kept_and_a_pipe_is_written_to(lab: Lab, tmp_path: Path) -> None:
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(file)
    write_file(lab, link, b"1")
    file.chmod(0o600)
    write_file(lab, link, b"2")
    assert (link.is_symlink(), file.read_bytes(), file.stat().st_mode & 0o777) == (True, b"2", 0o600)
    write_file(lab, Path("/dev/null"), b"3")
    assert Path("/dev/null").is_char_device()


def test_what_lies_where_ckgit_keeps_what_readers_want_is_its_own(lab: Lab) -> None:
    file = lab.home / ".ckgit/reports/demo/report.md"
    file.parent.mkdir(parents=True)
    file.write_text("of an earlier ckgit")
    refuse_others(lab, [file])


def test_a_new_file_is_never_written_over_another(tmp_path: Path) -> None:
    file = tmp_path / "new.yaml"
    write_new(file, b"1")
    with pytest.raises(CkgitError, match="there is a file already"):
        write_new(file, b"2")
    assert file.read_bytes() == b"1"
    with pytest.raises(CkgitError, match="it cannot be written: Not a directory"):
        write_new(file / "below", b"2")


def test_where_the_repository_cannot_be_written_an_output_is_left_alone_the_next_time(lab: Lab, tmp_path: Path) -> None:
    (lab.git_dir / "ckgit").mkdir(exist_ok=True)
    (lab.git_dir / "ckgit/written").write_text("in the way")
    write_file(lab, tmp_path / "out", b"1")
    with pytest.raises(CkgitError, match="ckgit did not write"):
        write_file(lab, tmp_path / "out", b"2")
    assert (tmp_path / "out").read_bytes() == b"1"


def test_on_a_full_disk_the_export_of_before_is_whole(many: Path, tmp_path: Path) -> None:
    file = tmp_path / "lab.duckdb"
    words = [sys.executable, "-m", "ckgit", "-C", str(many), "results", "--export", str(file)]
    subprocess.run(words, check=True, capture_output=True)
    before = file.read_bytes()

    def little() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    done = subprocess.run(words, check=False, capture_output=True, text=True, preexec_fn=little)
    assert done.returncode == Exit.COMMAND_FAILED, done.stderr
    assert "it cannot be written" in done.stderr
    assert "next:" in done.stderr
    assert file.read_bytes() == before
    with duckdb.connect(str(file), read_only=True) as exported:
        assert exported.execute("SELECT count(*) FROM results").fetchall() == [(20,)]
    assert [path.name for path in tmp_path.iterdir() if path.name != "lab"] == ["lab.duckdb"]


def test_schemas_are_written_over_schemas_alone(tmp_path: Path) -> None:
    assert ckgit("schema", "design", "--write", str(tmp_path)).returncode == 0
    (tmp_path / "design.json").write_text((tmp_path / "design.json").read_text().replace("array", "object"))  # of an earlier version
    assert ckgit("schema", "design", "--write", str(tmp_path)).returncode == 0
    (tmp_path / "design.json").write_text('{"experiment": {}}')
    for names in (("design",), ()):
        refused = ckgit("schema", *names, "--write", str(tmp_path))
        assert (refused.returncode, refused.stdout) == (Exit.USAGE, "")
        assert "no schema of ckgit's" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["design.json"]


def test_an_empty_lab_says_what_makes_the_first_one(lab_folder: Path) -> None:
    done = ckgit("-C", str(lab_folder), "compare", "a", "b")
    assert done.returncode == Exit.USAGE
    assert "next:  ckgit design NAME makes the first one" in done.stderr


def test_the_lab_is_opened_from_anywhere(many: Path, tmp_path: Path) -> None:
    """The record goes by the file, however it is called."""
    (tmp_path / "below").mkdir()
    for name in ("out.csv", "below/../out.csv"):
        done = ckgit("-C", str(many), "results", "--format", "csv", "--output", name, folder=tmp_path)
        assert done.returncode == 0, done.stderr
    assert open_lab(many).git_dir.joinpath("ckgit/written").is_dir()

"""`ckgit report`: from git alone, wherever the experiment is, as Markdown, HTML and PDF."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from tests.by_hand import commit_by_hand
from tests.orchestrators.bench import Bench

REPORTS = ".ckgit/reports/demo"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def git(bench: Bench, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=bench.folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def analyzed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Without a screen on which a browser could be seen."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    assert bench.advance(State.ANALYZED).code is Exit.DONE
    return bench


def test_it_says_the_answer_and_writes_what_is_on_the_branch(analyzed: Bench) -> None:
    told = analyzed.ckgit("report", "demo").stdout
    assert told.startswith("Does training help?\n\nThe design made no claims. It rests on 3 evaluations of 3 runs, 2 of them trained here.")
    assert ("\n\n- capitalization: **rank4, epoch 0** has the highest accuracy") in told
    assert told.endswith(f"The report: {analyzed.folder / REPORTS}/report.md\n")
    for name in ("report.md", "report.html", "results.json", "loss.svg", "scores.png", "design.pdf"):
        assert (analyzed.folder / REPORTS / name).read_bytes() == analyzed.snapshot.read(f"experiments/demo/analysis/{name}")
    assert git(analyzed, "status", "--porcelain") == ""


def test_the_page_is_one_file_and_the_same_each_time(analyzed: Bench, tmp_path: Path) -> None:
    files = [tmp_path / "one.html", tmp_path / "two.html"]
    for file in files:
        analyzed.ckgit("report", "demo", "--html", "--output", str(file))
    one, two = (file.read_bytes() for file in files)
    assert one == two
    assert one.count(b"data:image/svg+xml;base64,") == 3
    assert one == analyzed.snapshot.read("experiments/demo/analysis/report.html")
    assert sorted(path.name for path in tmp_path.glob("*.html")) == ["one.html", "two.html"]
    analyzed.ckgit("report", "demo", "--html", "--output", str(tmp_path))
    assert (tmp_path / "report.html").read_bytes() == one


def test_somebody_elses_files_are_left_alone(analyzed: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for _ in range(2):  # the second time it is ckgit's own
        analyzed.ckgit("report", "demo", "--output", str(folder))
    (folder / "report.md").write_text("my own")
    (folder / "results.json").unlink()
    done = analyzed.ckgit("report", "demo", "--output", str(folder), check=False)
    assert (done.returncode, "ckgit did not write" in done.stderr) == (Exit.USAGE, True)
    assert (folder / "report.md").read_text() == "my own"
    assert not (folder / "results.json").exists()
    (tmp_path / "page.html").write_text("my own")
    done = analyzed.ckgit("report", "demo", "--html", "--output", str(tmp_path / "page.html"), check=False)
    assert done.returncode == Exit.USAGE


def test_without_a_screen_it_says_where_the_page_is(analyzed: Bench) -> None:
    done = analyzed.ckgit("report", "demo", "--open")
    assert "no browser can be opened from here" in done.stderr
    assert f"The report: {analyzed.folder / REPORTS}/report.html\n" in done.stdout


def test_with_one_the_page_is_opened(analyzed: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" >"{seen}"\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    assert "no browser" not in analyzed.apart("report", "demo", "--open").stderr
    assert seen.read_text() == (analyzed.folder / REPORTS / "report.html").as_uri()


def test_one_that_was_merged_and_one_that_was_closed_have_theirs(analyzed: Bench) -> None:
    git(analyzed, "merge", "--no-ff", "--quiet", "--message=Merge", "exp/demo")
    git(analyzed, "branch", "--quiet", "-D", "exp/demo")
    assert "the default branch has it" in analyzed.ckgit("report", "demo").stdout
    git(analyzed, "branch", "--quiet", "exp/demo", "HEAD^2")
    analyzed.ckgit("close", "demo", "--because", "It is <b>enough</b>.")
    told = analyzed.ckgit("report", "demo", "--html").stdout
    assert "closed on " in told
    assert "It is <b>enough</b>." in told
    page = (analyzed.folder / REPORTS / "report.html").read_text()
    assert "It is &lt;b&gt;enough&lt;/b&gt;." in page


def test_a_clone_that_has_only_the_remotes_branch_has_it(analyzed: Bench) -> None:
    other = analyzed.clone("other")
    document = json.loads(other.ckgit("report", "demo", "--json").stdout)
    assert Path(document["file"]) == other.folder / REPORTS / "report.md"
    assert document["commit"] == analyzed.snapshot.tip
    assert subprocess.run(["git", "status", "--porcelain"], cwd=other.folder, capture_output=True, text=True, check=True).stdout == ""


def test_before_it_is_analyzed_there_is_none(bench: Bench) -> None:
    done = bench.ckgit("report", "demo", check=False)
    assert done.returncode == Exit.ILLEGAL_TRANSITION
    assert "demo is designed, and a report is written when it is analyzed" in done.stderr
    assert "ckgit advance demo --to analyzed" in done.stderr
    assert not (bench.folder / REPORTS).exists()


def test_what_was_changed_by_hand_is_told_on_the_page(analyzed: Bench) -> None:
    commit_by_hand(analyzed.folder, "analysis/report.md", "# demo\n\n## Question\n\nAll is <script>well</script>.\n\x1b[31m")
    done = analyzed.ckgit("report", "demo", "--html")
    assert "not as ckgit wrote it: experiments/demo/analysis/report.md (changed in commit " in done.stderr
    assert "\x1b" not in done.stdout
    page = (analyzed.folder / REPORTS / "report.html").read_text()
    assert "Not as ckgit wrote it" in page
    assert "<script" not in page


def test_one_that_was_removed_is_missing(analyzed: Bench) -> None:
    commit_by_hand(analyzed.folder, "analysis/report.md", None)
    done = analyzed.ckgit("report", "demo", check=False)
    assert done.returncode == Exit.EVIDENCE_MISSING
    assert "git checkout" in done.stderr


def test_without_a_chromium_there_is_no_pdf(analyzed: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = shutil.which("git")
    assert found
    (tmp_path / "git").symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path))
    done = analyzed.ckgit("report", "demo", "--pdf", check=False)
    assert done.returncode == Exit.TOOL_MISSING
    assert "neither is installed" in done.stderr
    assert not (analyzed.folder / REPORTS / "report.pdf").exists()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_pdf_is_printed(analyzed: Bench, tmp_path: Path) -> None:
    file = tmp_path / "demo.pdf"
    analyzed.ckgit("report", "demo", "--pdf", "--output", str(file))
    assert file.read_bytes().startswith(b"%PDF-")


def test_a_chromium_that_fails_is_told_with_its_words(analyzed: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\necho 'cannot start here' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    done = analyzed.ckgit("report", "demo", "--pdf", check=False)
    assert done.returncode == Exit.COMMAND_FAILED
    assert "cannot start here" in done.stderr


@pytest.mark.skipif(sys.platform == "darwin", reason="root alone writes to /proc nowhere")
def test_a_place_that_cannot_be_written_is_named(analyzed: Bench) -> None:
    done = analyzed.ckgit("report", "demo", "--output", "/proc/here", check=False)
    assert done.returncode == Exit.COMMAND_FAILED
    assert "/proc/here" in done.stderr
    done = analyzed.ckgit("report", "demo", "--html", "--output", str(analyzed.folder / "no" / "report.html"), check=False)
    assert (done.returncode, "there is no such folder" in done.stderr) == (Exit.USAGE, True)


def test_a_branch_cannot_write_outside_of_the_folder(analyzed: Bench) -> None:
    """A tree of git's may have an entry that is called `..`, and a remote may give it."""

    def tree(entries: bytes) -> bytes:
        command = ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"]
        return bytes.fromhex(subprocess.run(command, cwd=analyzed.folder, input=entries, check=True, capture_output=True).stdout.decode())

    blob = bytes.fromhex(git(analyzed, "rev-parse", "exp/demo:experiments/demo/analysis/report.md").strip())
    changed = tree(b"40000 ..\0" + tree(b"100644 evil.md\0" + blob) + b"100644 report.md\0" + blob)
    for name in ("analysis", "demo", "experiments", ""):
        folder = {"analysis": "experiments/demo", "demo": "experiments", "experiments": ""}.get(name)
        if folder is None:
            break
        lines = git(analyzed, "ls-tree", f"exp/demo:{folder}").splitlines()
        kept = [line for line in lines if not line.endswith(f"\t{name}")]
        made = "\n".join([*kept, f"040000 tree {changed.hex()}\t{name}", ""])
        done = subprocess.run(["git", "mktree"], cwd=analyzed.folder, input=made, check=True, capture_output=True, text=True)
        changed = bytes.fromhex(done.stdout)
    commit = git(analyzed, "commit-tree", "-p", "exp/demo", "-m", "by hand", changed.hex()).strip()
    git(analyzed, "update-ref", "refs/heads/exp/demo", commit)
    assert "analysis/../evil.md" in git(analyzed, "ls-tree", "-r", "--name-only", "exp/demo")
    analyzed.ckgit("report", "demo")
    assert not list(analyzed.folder.glob("**/.ckgit/**/evil.md"))

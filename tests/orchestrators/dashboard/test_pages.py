"""`ckgit dashboard --output`: a real lab as pages, opened, clicked through and looked at in a real browser."""

from __future__ import annotations

import datetime
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.lab.experiments import ExperimentRow
from ckgit.orchestrators.dashboard import make
from ckgit.orchestrators.dashboard.html import tag, text
from ckgit.orchestrators.dashboard.make import MARKER, first_page, write_dashboard
from ckgit.orchestrators.dashboard.names import page_names
from ckgit.orchestrators.dashboard.now import CommittedFacts, ExperimentNow, LabNow, Unread
from ckgit.orchestrators.dashboard.reading import LabReader
from ckgit.orchestrators.queries.overview import Overview
from tests.by_hand import commit_by_hand
from tests.orchestrators.bench import Bench, design_demo
from tests.orchestrators.dashboard.browser import CHROMIUM, Browser
from tests.orchestrators.dashboard.lab import branch_of, experiment, git, populate

MOMENT = datetime.datetime(2026, 11, 30, 12, tzinfo=datetime.UTC)
HOSTILE = 'a"b&c'
COLOURS = 20  # that any page has which shows text


class _Elements(HTMLParser):
    """Every element of a page, with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)


def pages_of(bench: Bench, folder: Path) -> dict[str, str]:
    done = bench.ckgit("dashboard", "--output", str(folder))
    assert done.stdout.startswith(f"{len(list((folder / 'experiments').iterdir()))} experiments: {folder}/index.html")
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.html")}


def test_a_whole_lab_in_a_real_browser(bench: Bench, tmp_path: Path) -> None:
    populate(bench)
    bench.hold()
    bench.apart("advance", "demo", "--to", "trained", "--no-wait", check=False)
    bench.until(lambda: bench.ckgit("status", "demo").stdout.count("/3") == 2)
    pages = pages_of(bench, tmp_path / "out")
    bench.go()
    first = pages["index.html"]
    for words in ("2 unreadable", "2 scaffolded", "1 analyzed", "1 closed", "rank8/finetune", "failed: rank8/finetune", "is not a name of"):
        assert words in first, words
    _hold_no_markup(pages)
    _say_what_is_seen(first)
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with Browser(tmp_path / "profile") as browser:
        _click_through(browser, tmp_path / "out", pages)


def _hold_no_markup(pages: dict[str, str]) -> None:
    """Whatever the branches say, no page has an element that runs or loads anything."""
    for name, page in pages.items():
        elements = _Elements(page).found
        assert not {tag for tag, _ in elements} & {"script", "iframe", "object", "form", "link", "base"}, name
        assert not [key for _, attributes in elements for key in attributes if key.startswith("on")], name
        assert all((attributes["src"] or "").startswith("data:image/svg+xml;base64,") for tag, attributes in elements if tag == "img"), name
        assert all(attributes["alt"] for tag, attributes in elements if tag == "img"), name
        assert "Content-Security-Policy" in page
        assert "\u202e" not in page.partition("<article")[0], name  # which would turn round what is read
        links = [attributes["href"] or "" for tag, attributes in elements if tag == "a"]
        assert not [link for link in links if not re.fullmatch(r"#\w+|\.\./index\.html|experiments/[\w.%+-]+\.html", link)], name


def _say_what_is_seen(first: str) -> None:
    alts = [attributes["alt"] for tag, attributes in _Elements(first).found if tag == "img"]
    assert alts == ["6 experiments by state: 2 unreadable, 2 scaffolded, 1 analyzed, 1 closed"]
    bars = [attributes["aria-label"] for tag, attributes in _Elements(first).found if tag == "progress"]
    assert len(bars) == 2
    assert all(re.fullmatch(r"\d of 3", words or "") for words in bars)


def _click_through(browser: Browser, folder: Path, pages: dict[str, str]) -> None:
    browser.open((folder / "index.html").as_uri())
    assert browser.value("document.title") == "Lab lab"
    _is_not_blank(browser)
    links = browser.value("[...new Set([...document.querySelectorAll('a[href^=experiments]')].map(a => a.getAttribute('href')))]")
    assert sorted(links) == sorted({*pages} - {"index.html"})
    for link in links:
        browser.click(f"a[href={json.dumps(link)}]")
        assert browser.value("document.querySelector('h1').textContent") in ("demo", "found", "failed", "left", "broken", HOSTILE)
        _is_not_blank(browser)
        browser.click("nav a")
        assert browser.value("document.title") == "Lab lab"
    browser.click(f"a[href={json.dumps('experiments/found.html')}]")
    assert browser.value("document.querySelector('article h2').textContent") == "found"
    assert browser.value("[...document.images].every(image => image.complete && image.naturalWidth > 100)")
    assert browser.complaints == []
    assert {address.partition(":")[0] for address in browser.asked} <= {"file", "data"}


def _is_not_blank(browser: Browser) -> None:
    from PIL import Image

    colours = Image.open(io.BytesIO(browser.picture())).convert("RGB").getcolors(1 << 20)
    assert colours
    assert len(colours) > COLOURS
    assert browser.value("document.documentElement.scrollWidth <= window.innerWidth")  # nothing is cut off at the right


def test_a_dark_reader_has_a_dark_page(bench: Bench, tmp_path: Path) -> None:
    pages_of_one = write_dashboard(bench.lab, LabReader(bench.lab).read(), tmp_path / "out")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with Browser(tmp_path / "profile") as browser:
        colours = {}
        for scheme in ("light", "dark"):
            browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            browser.open(pages_of_one.page.as_uri())
            colours[scheme] = browser.value("getComputedStyle(document.body).backgroundColor")
    assert colours == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 25, 29)"}


def test_a_lab_whose_tenth_experiment_is_broken(bench: Bench, tmp_path: Path) -> None:
    for number in range(1, 13):
        experiment(bench, f"e{number:02}")
    branch_of(bench, "exp/e10", "experiments/e10/experiment_summary.md", "no summary")
    now = LabReader(bench.lab).read()
    broken = {each.name: bool(each.problems) for each in now.experiments}
    assert broken == {"demo": False, **{f"e{number:02}": number == 10 for number in range(1, 13)}}
    document = json.loads(bench.ckgit("dashboard", "--output", str(tmp_path / "out"), "--json").stdout)
    assert document["experiments"] == len(list((tmp_path / "out/experiments").iterdir())) == 13
    assert [each["experiment"] for each in document["unreadable"]] == ["e10"]
    assert "the summary must begin with a line ---" in document["unreadable"][0]["problem"]


def test_a_hundred_experiments_stay_readable(tmp_path: Path) -> None:
    states = [*State, None]
    rows = [ExperimentRow(f"e{number:03}", "0" * 40, MOMENT, states[number % len(states)], "design", "") for number in range(100)]
    many = [a_read_one(row) if row.state else ExperimentNow(row, None, CommittedFacts(), [Unread("no summary", "")]) for row in rows]
    page = first_page(LabNow("big", MOMENT, many, []))
    assert page.decode().count('href="experiments/e') == 100 + sum(row.state is None for row in rows)
    assert len(page) < 100_000
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    (tmp_path / "index.html").write_bytes(page)
    with Browser(tmp_path / "profile") as browser:
        browser.open((tmp_path / "index.html").as_uri())
        _is_not_blank(browser)
        browser.value("document.querySelector('nav a[href=\"#trained\"]').click()")
        assert browser.value("Math.abs(document.getElementById('trained').getBoundingClientRect().top) < innerHeight")


def a_read_one(row: ExperimentRow) -> ExperimentNow:
    """An experiment as it would be read, without its branch."""
    assert row.state
    told = dict.fromkeys(Overview._fields) | dict.fromkeys(("jobs", "accepted_missing", "unknown_jobs", "edited", "ahead"), ())
    found = Overview(**(told | {"experiment": row.name, "state": row.state, "commit": row.tip, "time": row.date, "next": ""}))
    return ExperimentNow(row, found, CommittedFacts(question="Does more of it help, and if so, from which size of the model on?"))


def test_a_report_that_was_changed_by_hand_is_told_and_takes_nothing_with_it(bench: Bench, tmp_path: Path) -> None:
    bench.advance(State.ANALYZED)
    commit_by_hand(bench.folder, "analysis/results.json", "{}")
    done = bench.ckgit("dashboard", "--output", str(tmp_path / "out"))
    assert "unreadable: demo: " in done.stdout
    page = (tmp_path / "out/experiments/demo.html").read_text()
    assert "git checkout" in page
    assert "Does training help?" in page


def test_what_is_no_dashboard_is_left_alone(bench: Bench, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("all of it")
    done = bench.ckgit("dashboard", "--output", str(mine), check=False)
    assert done.returncode == Exit.USAGE
    assert f"{mine}: it holds something that is no dashboard of ckgit's\n  state: nothing was written" in done.stderr
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]
    (mine / MARKER).write_text("{")
    assert bench.ckgit("dashboard", "--output", str(mine), check=False).returncode == Exit.USAGE
    file = tmp_path / "file"
    file.write_text("mine")
    assert bench.ckgit("dashboard", "--output", str(file), check=False).returncode == Exit.USAGE
    assert file.read_text() == "mine"


def test_it_is_made_again_and_pages_of_what_is_gone_go(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    design_demo(bench.lab, name="other")
    assert {*pages_of(bench, folder)} == {"index.html", "experiments/demo.html", "experiments/other.html"}
    (folder / "experiments/notes.txt").write_text("mine")
    marker = json.loads((folder / MARKER).read_bytes())
    (folder / MARKER).write_text(json.dumps(marker | {"pages": [*marker["pages"], "experiments/../../victim.html", "/etc/victim.html"]}))
    (tmp_path / "victim.html").write_text("mine")
    git(bench, "update-ref", "-d", "refs/heads/exp/other")
    git(bench, "update-ref", "-d", "refs/ckgit/tips/other")
    bench.ckgit("dashboard", "--output", str(folder))
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert names == [MARKER, "experiments/demo.html", "experiments/notes.txt", "index.html"]
    assert (tmp_path / "victim.html").exists()


def test_who_is_cut_short_leaves_whole_pages(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "out"
    bench.ckgit("dashboard", "--output", str(folder))
    before = (folder / "index.html").read_bytes()
    design_demo(bench.lab, name="other")

    def fails(*_: object) -> bytes:
        raise OSError(28, "No space left on device", "/full")

    monkeypatch.setattr(make, "page_of", fails)
    with pytest.raises(CkgitError, match="it cannot be written: No space left on device"):
        write_dashboard(bench.lab, LabReader(bench.lab).read(), folder)
    assert (folder / "index.html").read_bytes() == before
    assert not [path for path in folder.rglob(".*") if path.name != MARKER]


def test_by_itself_it_goes_where_git_does_not_look(bench: Bench) -> None:
    done = bench.ckgit("dashboard")
    assert done.stdout == f"1 experiment: {bench.folder}/.ckgit/dashboard/index.html\n"
    assert git(bench, "status", "--porcelain") == ""


def test_no_two_experiments_share_a_page_and_each_name_is_a_plain_file() -> None:
    names = ["demo", "Demo", "a+b", "ä", "..", "a/b", "con", "x" * 300, "index"]
    pages = page_names(names)
    assert pages["a+b"] == "experiments/a+b.html"
    assert pages["index"] == "experiments/index.html"
    assert len({page.casefold() for page in pages.values()}) == len(names)
    assert all(re.fullmatch(r"experiments/[\w.+-]{1,80}\.html", page, re.ASCII) for page in pages.values())
    assert "experiments/demo.html" not in pages.values()  # a disk may take Demo.html for it


def test_text_of_others_stays_text() -> None:
    assert text('<b> "&" \u202e\x1b') == "&lt;b&gt; &quot;&amp;&quot; \\u202e\\x1b"
    assert tag("a", "<i>", href='"><script>', class_="x", title=None) == '<a href="&quot;&gt;&lt;script&gt;" class="x">&lt;i&gt;</a>'

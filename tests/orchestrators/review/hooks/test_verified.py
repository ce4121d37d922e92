"""pre-receive holds the results of a push against all rules of verification, in git's quarantine (jobs are bash)."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from ckgit.experiment.outputs.findings import VerifiedExperiment
from ckgit.experiment.state import State
from ckgit.lab.lab import Lab
from ckgit.orchestrators.review.hooks import results
from ckgit.orchestrators.review.named import History
from ckgit.orchestrators.review.verify.verify import verify
from tests.conftest import run_git
from tests.orchestrators.bench import Bench
from tests.orchestrators.conftest import bare_bench, bench, designed, tiny_package
from tests.orchestrators.review.hooks.by_hand import hook
from tests.orchestrators.review.hooks.server import TOP, make_server, push
from tests.orchestrators.review.lies import Liar
from tests.orchestrators.review.test_lies import another_configuration
from tests.orchestrators.review.test_surroundings import WATCHED

__all__ = ["bare_bench", "bench", "designed", "tiny_package"]
pytestmark = pytest.mark.slow
VERIFYING = "remote: ckgit: verifying demo, since its results are new; this may take some seconds"
# A program that is ckgit where inspect-ai, matplotlib and all plugins are not installed.
LIGHT = """\
import sys
sys.modules["matplotlib"] = sys.modules["inspect_ai"] = None
sys.argv[0] = "ckgit"
from ckgit.cli import main
main()
"""


@pytest.fixture
def analyzed(bench: Bench) -> Bench:
    bench.advance(State.ANALYZED)
    return bench


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_honest_results_arrive_and_are_remembered(analyzed: Bench, tmp_path: Path) -> None:
    server = make_server(tmp_path)
    tip = run_git(analyzed.folder, "rev-parse", "exp/demo")
    done = push(analyzed.folder, server, "main", "exp/demo~2:refs/heads/exp/demo")
    assert (done.returncode, lines(done.stderr)) == (0, [VERIFYING])
    done = push(analyzed.folder, server, "exp/demo")
    assert (done.returncode, lines(done.stderr)) == (0, [VERIFYING])
    assert run_git(server, "rev-parse", "exp/demo") == tip
    assert list((Path(os.environ["XDG_CACHE_HOME"]) / "ckgit/verified").iterdir())


def test_results_that_do_not_follow_never_arrive(analyzed: Bench, tmp_path: Path) -> None:
    """The script was changed, with its digest in the log: by structure alone this is a history as any other."""
    server = make_server(tmp_path)
    another_configuration(Liar(analyzed.folder))
    tip = run_git(analyzed.folder, "rev-parse", "exp/demo")
    assert push(analyzed.folder, server, "main").returncode == 0
    done = push(analyzed.folder, server, "exp/demo")
    assert done.returncode == 1
    assert "experiments/demo/rank4/setup.txt: it is not what this design, cluster profile and model cards give [rendered]" in done.stderr
    assert "Do not trust the run" in done.stderr
    done = push(analyzed.folder, server, "exp/demo:refs/ckgit/closed/demo")
    assert (done.returncode, "[rendered]" in done.stderr) == (1, True)
    assert run_git(server, "for-each-ref", "--format=%(refname)") == "refs/heads/main"
    run_git(server, "config", "ckgit.hooksVerify", "light")
    assert push(analyzed.folder, server, "exp/demo").returncode == 0
    assert run_git(server, "rev-parse", "exp/demo") == tip


def test_a_clone_verifies_where_it_is_set(analyzed: Bench) -> None:
    another_configuration(Liar(analyzed.folder))
    tip = run_git(analyzed.folder, "rev-parse", "exp/demo")
    line = f"refs/heads/exp/demo {tip} refs/heads/exp/demo {'0' * 40}\n"
    assert hook(analyzed.folder, "pre-push", "origin", "url", stdin=line).returncode == 0
    run_git(analyzed.folder, "config", "ckgit.hooksVerify", "full")
    assert "[rendered]" in hook(analyzed.folder, "pre-push", "origin", "url", stdin=line).stderr
    run_git(analyzed.folder, "config", "ckgit.hooksVerify", "always")
    assert "ckgit.hooksVerify is 'always', and may be full or light" in hook(analyzed.folder, "pre-push", "o", "u", stdin=line).stderr


def test_a_light_installation_says_what_it_did_not_verify(analyzed: Bench, tmp_path: Path) -> None:
    """Neither the workers nor what draws are there: nothing is refused for that, and what can be seen without them is."""
    program = tmp_path / "light.py"
    program.write_text(LIGHT)
    server = make_server(tmp_path, f'#!/bin/sh\nPYTHONPATH={TOP} exec {sys.executable} {program} "$@"\n')
    done = push(analyzed.folder, server, "main", "exp/demo")
    said = lines(done.stderr)
    assert (done.returncode, said[0]) == (0, VERIFYING), done.stderr
    assert len(said) == 2
    assert said[1].startswith("remote: ckgit: not all of demo can be verified here: ")
    liar = Liar(analyzed.folder)
    liar.tell(lambda index, commit, told: told._replace(message=told.message.replace("Ckgit-Version: 0", "Ckgit-Version: latest")))
    done = push(analyzed.folder, server, "+exp/demo")
    assert done.returncode == 1
    assert "[version]" in done.stderr


def test_a_server_without_a_place_to_remember_verifies_all_the_same(analyzed: Bench, tmp_path: Path) -> None:
    server = make_server(tmp_path)
    file = tmp_path / "no-folder"
    file.write_text("")
    done = push(analyzed.folder, server, "main", "exp/demo", XDG_CACHE_HOME=str(file))
    assert (done.returncode, lines(done.stderr)[0]) == (0, VERIFYING)  # matplotlib has a word on its own cache


def test_it_starts_git_alone_and_writes_nothing_into_the_repository(analyzed: Bench, tmp_path: Path) -> None:
    watched = tmp_path / "watched.py"
    report = f"open({str(tmp_path / 'seen')!r}, 'w').write(json.dumps(seen))"
    watched.write_text(WATCHED.replace("print(json.dumps(seen), file=sys.stderr)", report))
    server = make_server(tmp_path, f'#!/bin/sh\nPYTHONPATH={TOP}:$PYTHONPATH exec {sys.executable} {watched} "$@"\n')
    done = push(analyzed.folder, server, "main", "exp/demo", PYTHONDONTWRITEBYTECODE="1", MPLCONFIGDIR=str(tmp_path / "mpl"))
    assert done.returncode == 0, done.stderr
    seen = json.loads((tmp_path / "seen").read_text())
    assert set(seen["started"]) <= {"git", "fc-list"}
    assert seen["reached"] == []
    allowed = (os.environ["XDG_CACHE_HOME"], str(tmp_path / "mpl"), os.devnull)
    assert [path for path in seen["there"] if not path.startswith(allowed)] == []


def test_what_takes_long_says_that_it_goes_on(analyzed: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clone gives a remote up that prints nothing for a minute."""

    def slow(lab: Lab, subject: History) -> VerifiedExperiment:
        time.sleep(0.5)
        return verify(lab, subject)

    monkeypatch.setattr(results, "_EVERY", 0.1)
    monkeypatch.setattr("ckgit.orchestrators.review.verify.verify.verify", slow)
    tip = run_git(analyzed.folder, "rev-parse", "exp/demo")
    done = hook(analyzed.folder, "pre-receive", stdin=f"{'0' * 40} {tip} refs/heads/exp/demo\n")
    assert done.returncode == 0
    assert done.stderr.count("ckgit: still verifying demo\n") > 1

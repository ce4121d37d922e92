"""The benches of the orchestrators' tests serve the commands, too; and designs on rows of a test's own."""

import json

import pytest
from click.testing import CliRunner

from ckgit.cli import group
from ckgit.lab.lab import open_lab
from tests.cli.remarks import DESIGN
from tests.conftest import make_test_lab
from tests.orchestrators.bench import design_demo
from tests.orchestrators.conftest import bare_bench, bench, designed, end_jobs, install, new_bench, tiny_package

__all__ = ["bare_bench", "bench", "designed", "tiny_package"]


@pytest.fixture(scope="module")
def benches():
    """Those that `kept` has made for this module."""
    made = {}
    yield made
    for each in made.values():
        end_jobs(each.lab, each.folder)


@pytest.fixture
def kept(benches, tiny_package, tmp_path_factory, monkeypatch):
    """`kept(make, question="Why?")`: a lab with experiment `demo`, on which `make` is called once in this module.

    Whoever asks for it only looks, or puts back what it has changed.
    """
    install(tiny_package, monkeypatch)

    def once(make, **experiment):
        if make not in benches:
            folder = tmp_path_factory.mktemp(make.__name__)
            benches[make] = new_bench(open_lab(make_test_lab(folder / "lab")), folder)
            design_demo(benches[make].lab, {"experiment": {"name": "demo", "question": "Does it?", "date": "2026-11-23", **experiment}})
            make(benches[make])
        return benches[make]

    return once


@pytest.fixture
def commit(lab_folder, run):
    """`commit({path: document or text or bytes})`: files on the lab's default branch."""

    def make(files):
        for path, content in files.items():
            file = lab_folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            text = content if isinstance(content, str | bytes) else json.dumps(content)
            file.write_bytes(text.encode() if isinstance(text, str) else text)
        run(lab_folder, "add", "--all", "--force", *files)
        run(lab_folder, "commit", "--quiet", "--allow-empty", "--message=Files")

    return make


@pytest.fixture
def validate(lab_folder, commit):
    """`validate(rows, design)`: the document that `ckgit validate --json` prints of a design on these rows."""

    def check(made=None, design=DESIGN):
        if made is not None:
            commit({"data/rows.json": made})
        done = CliRunner().invoke(group, ["-C", str(lab_folder), "validate", "-", "--json"], input=design)  # quicker than by a process
        assert done.exit_code in (0, 3), done.output
        document = json.loads(done.stdout)
        assert document["valid"] == (done.exit_code == 0)
        return document

    return check

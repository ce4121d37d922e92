"""The benches of the orchestrators' tests serve the commands, too; and designs on rows of a test's own."""

import json

import pytest
from click.testing import CliRunner

from ckgit.cli import group
from tests.cli.remarks import DESIGN
from tests.orchestrators.conftest import bare_bench, bench, designed, tiny_package

__all__ = ["bare_bench", "bench", "designed", "tiny_package"]


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

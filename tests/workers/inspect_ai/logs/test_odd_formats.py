"""Logs that are large, old, or in another format: read within bounds, or refused in words."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ckgit.experiment.results import Sample
from tests.whole import ROOT
from tests.workers.inspect_ai.examples import LOG, Ended

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # inspect's own imports warn
# Judges the log of a work tree as ckgit does when a job ended, and says what memory that took at most.
JUDGE = """
import resource, sys
from pathlib import Path
from ckgit.experiment.jobs import Attempt
from tests.workers.inspect_ai.examples import Ended, make_context
models, work, attempt = sys.argv[1:]
found = Ended(make_context(Path(models)), Path(work), Attempt.model_validate_json(Path(attempt).read_bytes())).evidence()
assert found.reasons == [], found.reasons
assert len(found.results[0].samples) == 4
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def rewritten(source: Path, place: Path, large: int, characters: int) -> None:
    """The same log, of which so many samples have a transcript of so many characters, as agents and long contexts make them."""
    import zipfile_zstd  # noqa: F401 - inspect packs so, which Python's zipfile learns in 3.14

    place.parent.mkdir(parents=True, exist_ok=True)
    text = random.Random(0).randbytes(characters // 2).hex()  # noqa: S311 - to be packed badly
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(place, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.startswith("samples/") and large > 0:
                large -= 1
                content = json.dumps({**json.loads(content), "attachments": {"0": text}}).encode()
            new.writestr(name, content)


def peak(tuned: Ended, models: Path, tmp_path: Path, large: int, characters: int) -> int:
    """Bytes of memory that judging the log takes at most."""
    work = tmp_path / f"{large} large"
    rewritten(tuned.work / LOG, work / LOG, large, characters)
    (tmp_path / "attempt.json").write_text(tuned.attempt.model_dump_json())
    command = [sys.executable, "-c", JUDGE, str(models), str(work), str(tmp_path / "attempt.json")]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_memory_is_bounded_by_the_largest_sample_and_not_by_the_log(tuned: Ended, models: Path, tmp_path: Path) -> None:
    characters = 25_000_000
    assert peak(tuned, models, tmp_path, 4, characters) - peak(tuned, models, tmp_path, 1, characters) < characters / 2


def test_a_log_of_before_samples_were_listed_has_those_that_are_in_it(tuned: Ended, tmp_path: Path) -> None:
    changed_header(tuned, tmp_path / LOG, lambda header: header["eval"]["dataset"].pop("sample_ids"))
    found = tuned._replace(work=tmp_path).evidence()
    assert found.reasons == []
    # in the order in which they were answered, and not in that of the header
    assert sorted(found.results[0].samples, key=_id) == sorted(tuned.evidence().results[0].samples, key=_id)


def _id(sample: Sample) -> int:
    return int(sample.id)


def test_numbers_that_older_logs_do_not_have_are_counted(tuned: Ended, tmp_path: Path) -> None:
    def older(header: dict[str, Any]) -> None:
        del header["version"]
        for score in header["results"]["scores"]:
            for name in ("scored_samples", "unscored_samples"):
                score.pop(name, None)

    changed_header(tuned, tmp_path / LOG, older)
    [found], [now] = tuned._replace(work=tmp_path).evidence().results, tuned.evidence().results
    assert (found.metrics, found.samples) == (now.metrics, now.samples)


def changed_header(tuned: Ended, place: Path, change: Any) -> None:
    import zipfile_zstd  # noqa: F401

    place.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(tuned.work / LOG) as old, zipfile.ZipFile(place, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "header.json":
                header = json.loads(content)
                change(header)
                content = json.dumps(header).encode()
            new.writestr(name, content)


def test_a_log_in_the_format_before_eval_is_refused_in_words(tuned: Ended, tmp_path: Path) -> None:
    from inspect_ai.log import read_eval_log, write_eval_log

    (tmp_path / LOG).parent.mkdir(parents=True)
    write_eval_log(read_eval_log(str(tuned.work / LOG)), str(tmp_path / "old.json"), format="json")
    (tmp_path / "old.json").rename(tmp_path / LOG)
    found = tuned._replace(work=tmp_path).evidence()
    assert found.results == ()
    assert found.reasons == ["the log is in inspect's older JSON format, and not in the .eval format that an evaluation writes"]
    assert json.loads(found.files[f"{LOG}.json"])["not_committed"] == LOG  # a note is committed in its place


def test_an_empty_file_is_refused_in_words(tuned: Ended, tmp_path: Path) -> None:
    (tmp_path / LOG).parent.mkdir(parents=True)
    (tmp_path / LOG).touch()
    assert "cut short or damaged" in "".join(tuned._replace(work=tmp_path).evidence().reasons)

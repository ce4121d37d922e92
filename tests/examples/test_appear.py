from pathlib import Path

import pytest

from ckgit.examples.appear import appear


def folder(path: Path, content: str) -> Path:
    path.mkdir()
    (path / "model").write_text(content)
    return path


def test_of_two_processes_that_make_one_model_the_faster_one_gives_it(tmp_path: Path) -> None:
    place = tmp_path / "tiny"
    appear(folder(tmp_path / "one", "first"), place)
    appear(folder(tmp_path / "other", "second"), place)
    assert (place / "model").read_text() == "first"


def test_what_is_in_the_way_and_no_folder_is_not_taken_for_a_model(tmp_path: Path) -> None:
    (tmp_path / "tiny").write_text("a file")
    with pytest.raises(NotADirectoryError):
        appear(folder(tmp_path / "one", "first"), tmp_path / "tiny")

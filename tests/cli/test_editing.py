"""`ckgit design --edit`: the editor is a script that does what a person would, a step each time it is opened."""

import shlex

import pytest

from tests.command_line import ckgit

TYPO = "s/lora_rank:/rank:/"


@pytest.fixture
def edit(lab_folder, tmp_path):
    """`edit(["s/a/b/", …], "--template", …)`: a step each time the editor opens; then what it saw each time."""
    desk = tmp_path / "a desk"
    desk.mkdir()
    script = desk / "editor"
    script.write_text(
        '#!/bin/sh\nlast=$(ls "$DESK" | grep -c seen)\ncp "$2" "$DESK/seen$last"\ntest "$1" = --wait && sh "$DESK/step$last" "$2"\n'
    )
    script.chmod(0o755)

    def call(steps, *words, **environment):
        for number, step in enumerate(steps):
            (desk / f"step{number}").write_text(step if "$1" in step or step == "exit 1" else f'sed -i "{step}" "$1"\n')
        editor = f"{shlex.quote(str(script))} --wait"
        settings = {"EDITOR": editor, "VISUAL": "", "DESK": str(desk), **environment}
        done = ckgit("design", "cap", "--edit", *words, folder=lab_folder, **settings)
        return done, [file.read_text() for file in sorted(desk.glob("seen*"))]

    return call


def kept(lab_folder):
    return sorted(path.name for path in (lab_folder / ".ckgit/edited").iterdir())


def test_a_template_is_opened_changed_and_designed(edit, lab_folder, run):
    done, seen = edit(["s/Does fine-tuning.*/Why?/"], "--set", "controls.lr=1e-3")
    assert done.returncode == 0, done.stderr
    assert "lr: 1e-3" in seen[0]
    assert seen[0].startswith("#: Save this file and leave the editor to design it.")
    summary = run(lab_folder, "show", "exp/cap:experiments/cap/experiment_summary.md")
    assert "question: Why?\n" in summary
    assert "# What you expect, and why it is worth knowing" in summary
    assert "#:" not in summary
    assert kept(lab_folder) == []


def test_problems_stand_above_the_text_until_they_are_mended(edit, lab_folder, run):
    done, seen = edit([TYPO, "s/epochs: 1/epochs: 2/", "s/ rank:/ lora_rank:/"])
    assert done.returncode == 0, done.stderr
    for text in seen[1:]:
        heading = text.splitlines()[:2]
        assert heading[0].startswith("#: 1 problem: mend, save and leave.")
        place, _, what = heading[1].removeprefix("#: line ").partition(": ")
        assert what == "unknown key rank: did you mean lora_rank?"
        assert text.splitlines()[int(place) - 1] == "  rank: [4, 16]"
        assert text.count("#:") == 2
    assert "epochs: 2" in run(lab_folder, "show", "exp/cap:experiments/cap/experiment_summary.md")


@pytest.mark.parametrize("step", ["s/never/there/", ': >"$1"'], ids=["unchanged", "empty"])
def test_what_is_left_as_it_is_or_emptied_is_not_designed(edit, lab_folder, run, step):
    done, _ = edit([step])
    assert (done.returncode, "the design was left as it was" in done.stderr) == (2, True)
    assert run(lab_folder, "branch", "--list", "exp/*") == ""
    assert kept(lab_folder) == []


@pytest.mark.parametrize("step", ["s/never/there/", ': >"$1"'], ids=["unchanged", "empty"])
def test_who_gives_up_finds_the_text_again_and_goes_on_with_it(edit, lab_folder, run, step):
    done, seen = edit([TYPO, step])
    file = lab_folder / ".ckgit/edited/cap.yaml"
    assert done.returncode == 3
    assert f"next:  ckgit design cap --from {file} --edit goes on with it" in done.stderr
    assert file.read_text() == seen[1].partition("lora_rank?\n")[2]
    assert run(lab_folder, "branch", "--list", "exp/*") == ""
    done, seen = edit(["", "", "s/ rank:/ lora_rank:/"], "--from", str(file))
    assert done.returncode == 0, done.stderr
    assert "  rank: [4, 16]" in seen[2]
    assert kept(lab_folder) == ["cap.yaml"]  # the user's file, as any that --from names


def test_another_experiments_design_is_edited_without_what_ckgit_wrote(edit, lab_folder, run):
    assert ckgit("design", "first", "--template", "lora-sweep", folder=lab_folder).returncode == 0
    done, seen = edit(["s/16/32/"], "--like", "exp/first")
    assert done.returncode == 0, done.stderr
    assert "name: cap" in seen[0]
    assert "recorded:" not in seen[0]
    assert "state:" not in seen[0]
    assert "lora_rank: [4, 32]" in run(lab_folder, "show", "exp/cap:experiments/cap/experiment_summary.md")


def test_an_editor_that_fails_or_is_not_there_ends_it(edit, lab_folder):
    done, _ = edit(["exit 1"])
    assert (done.returncode, "Editing failed" in done.stderr) == (7, True)
    done, _ = edit([], EDITOR="no-such-editor")
    assert (done.returncode, "Editing failed" in done.stderr) == (7, True)
    assert kept(lab_folder) == []


def test_text_that_was_written_before_the_editor_failed_is_kept(edit, lab_folder):
    done, _ = edit(['sed -i "s/Does/Do/" "$1"; exit 1'])
    assert f"your text is in {lab_folder / '.ckgit/edited/cap.yaml'}" in done.stderr
    assert "question: Do " in (lab_folder / ".ckgit/edited/cap.yaml").read_text()


def test_without_an_editor_the_message_says_how_to_name_one(edit, lab_folder):
    done, _ = edit([], EDITOR="")
    assert (done.returncode, "neither VISUAL nor EDITOR is set" in done.stderr) == (2, True)
    assert not (lab_folder / ".ckgit").exists()


def test_visual_comes_before_editor(edit):
    assert "not-there: Editing failed" in edit([], VISUAL="not-there")[0].stderr


def test_a_name_that_is_taken_is_told_before_anything_is_opened(edit, lab_folder):
    assert ckgit("design", "cap", "--template", "lora-sweep", folder=lab_folder).returncode == 0
    done, seen = edit([])
    assert (done.returncode, seen) == (2, [])
    assert "experiment cap exists already" in done.stderr

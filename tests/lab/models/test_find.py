import hashlib
import json

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.lab.context import load_context
from ckgit.lab.models import find
from ckgit.lab.models.cards import add_model
from ckgit.lab.models.find import find_model
from tests.cli.test_models import make_model


def test_a_model_is_found_under_models_root_or_where_it_was_registered(lab, designed, isolated, tmp_path):
    card_bytes = (lab.root / "models/tiny.yaml").read_bytes()
    context = load_context(lab, designed)
    card = context.cards["tiny"]
    assert find_model(lab, context.cluster, card, card_bytes) == lab.root / "models/tiny"

    (lab.root / "models/tiny").rename(tmp_path / "elsewhere")
    with pytest.raises(CkgitError, match="not on this machine") as caught:
        find_model(lab, context.cluster, card, card_bytes)
    assert caught.value.code is Exit.EVIDENCE_MISSING
    assert caught.value.next.startswith("ckgit models add tiny PATH says where they are now")

    registered = isolated / "data/ckgit/models" / hashlib.sha256(card_bytes).hexdigest()
    registered.parent.mkdir(parents=True)
    registered.symlink_to(tmp_path / "elsewhere")
    assert find_model(lab, context.cluster, card, card_bytes) == tmp_path / "elsewhere"


WRONG = [(None, r"model\.safetensors is missing"), (b"longer than it was", "has 18 bytes, and the card says 5")]


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_a_model_folder_that_is_not_the_cards(lab, designed, content, message):
    file = lab.root / "models/tiny/model.safetensors"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    context = load_context(lab, designed)

    with pytest.raises(CkgitError, match=message):
        find_model(lab, context.cluster, context.cards["tiny"], b"")


@pytest.fixture
def registered(lab, tmp_path):
    """A model that was added from a folder beside others, and its card."""
    (tmp_path / "weights").mkdir()
    folder = make_model(tmp_path / "weights/fresh")
    return folder, add_model(lab, "fresh", folder, replace=False, commit=True, dry_run=False)


def found(lab, added):
    return find_model(lab, lab.cluster(), added.card, added.content)


def test_a_folder_that_was_renamed_is_found_by_its_bytes_and_then_known(lab, registered):
    folder, added = registered
    moved = folder.rename(folder.with_name("renamed"))
    assert found(lab, added) == moved
    moved.rename(lab.root.parent / "elsewhere")
    with pytest.raises(CkgitError, match=f"{moved}: no such folder"):
        found(lab, added)


def test_who_looks_twice_reads_once_unless_it_was_written_meanwhile(lab, registered, monkeypatch):
    folder, added = registered
    moved, read, sha256 = folder.rename(folder.with_name("renamed")), [], find.sha256
    monkeypatch.setattr(find, "sha256", lambda file: (read.append(file.name), sha256(file))[1])
    for _ in range(2):
        assert find_model(lab, lab.cluster(), added.card, added.content, remember=False) == moved
    assert sorted(read) == sorted(added.card.files)
    weights = moved / "model.safetensors"
    weights.write_bytes(b"x" * weights.stat().st_size)
    with pytest.raises(CkgitError, match="nor are the same files in a folder of"):
        find_model(lab, lab.cluster(), added.card, added.content, remember=False)


def test_a_model_with_the_same_names_and_sizes_is_not_taken_for_it(lab, registered, tmp_path):
    folder, added = registered
    other = make_model(folder.with_name("trained from the same"))
    (other / "model.safetensors").write_bytes(b"x" * added.card.files["model.safetensors"].bytes)
    folder.rename(tmp_path / "far away")
    with pytest.raises(CkgitError, match="nor are the same files in a folder of"):
        found(lab, added)


def test_the_cache_of_hugging_face_is_looked_through(lab, registered, tmp_path, monkeypatch):
    folder, added = registered
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    snapshot = tmp_path / "hf/hub/models--org--name/snapshots" / ("0" * 40)
    snapshot.parent.mkdir(parents=True)
    folder.rename(snapshot)
    assert found(lab, added) == snapshot


def test_where_it_is_nowhere_the_error_says_where_it_was_and_where_it_was_looked_for(lab, registered, tmp_path):
    folder, added = registered
    moved = folder.rename(tmp_path / "far away")
    with pytest.raises(CkgitError) as caught:
        found(lab, added)
    assert f"{folder}: no such folder" in caught.value.what
    assert f"nor are the same files in a folder of {lab.root / 'models'}, {folder.parent}" in caught.value.what
    card = (lab.root / added.path).read_bytes()
    again = add_model(lab, "fresh", moved, replace=False, commit=True, dry_run=False)
    assert (again.changed, again.commit, found(lab, added)) == (False, "", moved)
    assert (lab.root / added.path).read_bytes() == card


def test_the_same_files_at_a_new_place_leave_a_card_that_says_more_than_a_folder_can(lab, registered, run):
    folder, added = registered
    source = {"repo": "org/name", "revision": "0" * 40}
    path = lab.root / added.path
    path.write_text(f"{path.read_text()}hub: {json.dumps(source)}\n")
    run(lab.root, "commit", "--quiet", "--all", "--message=By hand")
    before = path.read_bytes()
    again = add_model(lab, "fresh", folder, replace=False, commit=True, dry_run=False)
    assert (again.changed, again.content, path.read_bytes()) == (False, before, before)
    assert again.card.hub.repo == "org/name"

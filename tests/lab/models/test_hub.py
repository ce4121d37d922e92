"""Models of the hub: the real client of Hugging Face asks a stand-in for the hub, by its own protocol, and once nobody at all."""

import json

import pytest

from ckgit.errors import Exit
from ckgit.lab.models.hub_client import chosen
from tests.command_line import ckgit
from tests.lab.models.hub_stand_in import REVISION, Repository, serve
from tests.lab.models.test_folder import CONFIG, WEIGHTS

pytest.importorskip("huggingface_hub")
FILES = {
    "config.json": json.dumps(CONFIG).encode(),
    "tokenizer.json": b"{}",
    "model.safetensors": WEIGHTS,
    "README.md": b"---\nlicense: apache-2.0\n---\nA model.\n",
    "pytorch_model.bin": b"pickled",
}
REPOSITORIES = {
    "org/name": Repository(FILES),
    "org/gated": Repository(FILES, gated=True),
    "org/old": Repository({"config.json": b"{}", "pytorch_model.bin": b"pickled"}),
}


@pytest.fixture(scope="module")
def hub():
    with serve(REPOSITORIES) as served:
        yield served


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def add(lab_folder, hub):
    """`add("fresh", "org/name")`: the command, with the stand-in as its hub."""

    def call(*words, **environment):
        return ckgit("models", "add", *words, folder=lab_folder, **{"HF_ENDPOINT": hub[0], **environment})

    return call


def test_a_model_of_the_hub_is_fetched_once_and_its_card_has_the_commit(add, hub, lab_folder, run):
    shown = json.loads(add("fresh", "org/name", "--dry-run", "--json").stdout)
    assert (shown["card"], shown["fetched"]["source"]) == (None, {"repo": "org/name", "revision": REVISION})
    assert names(lab_folder / "models") == ["tiny", "tiny.yaml"]

    made = json.loads(add("fresh", "org/name", "--json").stdout)
    assert made["card"]["hub"] == {"repo": "org/name", "revision": REVISION}
    assert names(lab_folder / "models/fresh") == ["README.md", "config.json", "model.safetensors", "tokenizer.json"]
    assert run(lab_folder, "show", "--name-only", "--format=", "HEAD") == "models/fresh.yaml"
    assert run(lab_folder, "status", "--porcelain") == ""

    asked = len(hub[1])
    assert "models/fresh.yaml unchanged" in add("fresh", "org/name").stdout
    assert len(hub[1]) == asked
    told = ckgit("models", "show", "fresh", folder=lab_folder).stdout
    assert f"hub         org/name at {REVISION}" in told
    assert "license     apache-2.0" in told


def test_on_another_machine_the_commit_of_the_card_is_fetched(add, hub, lab_folder):
    assert add("fresh", "org/name").returncode == 0
    (lab_folder / "models/fresh").rename(lab_folder.parent / "lost")
    (lab_folder.parent / "lost/model.safetensors").unlink()
    told = ckgit("models", "list", folder=lab_folder)
    assert f"ckgit models add fresh org/name --revision {REVISION} fetches them" in told.stderr
    begun = len(hub[1])
    again = add("fresh", "org/name")
    assert "models/fresh.yaml unchanged" in again.stdout
    assert f"api/models/org/name/revision/{REVISION}" in hub[1][begun:]
    assert "not on this machine" not in ckgit("models", "list", folder=lab_folder).stdout


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (("org/gated",), Exit.USAGE, "only to those who have accepted its terms"),
        (("org/nothing",), Exit.USAGE, "the hub has no model org/nothing, or it is private, and there is no folder of that name here"),
        (("org/name", "--revision", "v9"), Exit.USAGE, "the hub has no revision v9 of org/name"),
        (("org/old",), Exit.USAGE, "org/old has no weights as safetensors: config.json"),
        ((".", "--revision", "v9"), Exit.USAGE, "--revision is of a model in the hub, and . is a folder"),
    ],
)
def test_what_the_hub_does_not_give_is_said_and_nothing_is_left(add, lab_folder, words, code, what):
    done = add("fresh", *words)
    assert (done.returncode, what in done.stderr) == (code, True), done.stderr
    assert names(lab_folder / "models") == ["tiny", "tiny.yaml"]


@pytest.mark.parametrize("environment", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}], ids=["told", "unreachable"])
def test_without_a_network_the_message_has_the_way_by_hand(add, lab_folder, environment):
    done = add("fresh", "org/name", **environment)
    assert done.returncode == Exit.UNKNOWN
    assert "on a machine that has one: `hf download org/name --include 'model*.safetensors'" in done.stderr
    assert "rsync -a name THIS-MACHINE:), and here: ckgit models add NAME PATH-OF-name" in done.stderr
    assert names(lab_folder / "models") == ["tiny", "tiny.yaml"]


def test_what_was_cut_off_is_no_model_and_goes_on_where_it_ended(lab_folder):
    repository = Repository(FILES, broken="model.safetensors")
    with serve({"org/name": repository}) as (address, _):
        cut = ckgit("models", "add", "fresh", "org/name", folder=lab_folder, HF_ENDPOINT=address)
        assert (cut.returncode, (lab_folder / "models/fresh").exists()) == (Exit.UNKNOWN, False)
        assert (lab_folder / "models/.fresh-part/README.md").is_file()
        assert not (lab_folder / "models/fresh.yaml").exists()
        repository.broken = ""
        assert ckgit("models", "add", "fresh", "org/name", folder=lab_folder, HF_ENDPOINT=address).returncode == 0
    assert (lab_folder / "models/fresh/model.safetensors").read_bytes() == WEIGHTS
    assert names(lab_folder / "models") == ["fresh", "fresh.yaml", "tiny", "tiny.yaml"]


def test_a_file_that_the_client_left_out_makes_it_no_model(lab_folder):
    with serve({"org/name": Repository(FILES, unlisted="tokenizer.json")}) as (address, _):
        done = ckgit("models", "add", "fresh", "org/name", folder=lab_folder, HF_ENDPOINT=address)
    assert (done.returncode, "tokenizer.json did not come whole" in done.stderr) == (Exit.UNKNOWN, True), done.stderr
    assert not (lab_folder / "models/fresh").exists()


def test_another_model_of_the_name_and_a_folder_in_the_way_are_told_before_anything_is_fetched(add, hub, lab_folder):
    asked = len(hub[1])
    assert "there is another model of that name: models/tiny.yaml" in add("tiny", "org/name").stderr
    (lab_folder / "models/fresh").mkdir()
    assert "there is such a folder already" in add("fresh", "org/name").stderr
    assert len(hub[1]) == asked


def test_weights_of_other_formats_and_folders_are_left_in_the_hub():
    files = ["model-00001-of-00002.safetensors", "consolidated.safetensors", "original/params.json", "LICENSE", "vocab.txt", "logo.png"]
    assert list(chosen(dict.fromkeys(files, 1))) == ["model-00001-of-00002.safetensors", "LICENSE", "vocab.txt"]

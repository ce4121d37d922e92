import io
import subprocess
import sys
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckgit.experiment.errors import CkgitError
from ckgit.lab.secrets import MAX_FILE_BYTES, find_secrets, mask, refuse_unfit, without_secrets

HEX = "0123456789abcdef" * 3
EXAMPLES = {
    "a Hugging Face token": "hf_" + "aB3" * 12,
    "a W&B key": HEX[:40],
    "an AWS access key": "AKIA" + "ABCD1234" * 2,
    "an API key of the form sk-…": "sk-proj-" + "aB3" * 10,
    "a GitHub token": "ghp_" + "aB3d" * 9,
}


@pytest.mark.parametrize("rule", EXAMPLES)
def test_each_form_is_found_with_its_place_and_never_shown(rule):
    secret = EXAMPLES[rule]
    text = f"line one\nline two\nWANDB_API_KEY={secret}\n"

    (finding,) = find_secrets({"run1/out": text.encode()})

    assert (finding.path, finding.line, finding.rule) == ("run1/out", 3, rule)
    assert secret not in str(finding)
    assert finding.masked.startswith(secret[:4])


@pytest.mark.parametrize("text", ["sha256: " + HEX, "commit " + HEX[:40], "hf_hub", "ask-me-anything", "wandb is a tool", "sk-learn"])
def test_what_only_looks_alike(text):
    assert find_secrets({"log": text.encode()}) == []


def test_values_of_the_environment_are_found_whatever_their_form(monkeypatch):
    for name, value in {"MY_TOKEN": "plain words", "db_secret": "swordfish", "SHORT_KEY": "abc", "HOME_PAGE": "not secret"}.items():
        monkeypatch.setenv(name, value)

    findings = find_secrets({"log": b"plain words\nswordfish\nabc\nnot secret\n"})

    assert [(finding.line, finding.rule) for finding in findings] == [(1, "the value of $MY_TOKEN"), (2, "the value of $db_secret")]


def packed(text, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("header.json", text)
    return buffer.getvalue()


def test_an_eval_log_is_searched_inside():
    (finding,) = find_secrets({"logs/a.eval": packed("{}\n" + EXAMPLES["a Hugging Face token"])})

    assert (finding.path, finding.line) == ("logs/a.eval!header.json", 2)


def test_an_eval_log_packed_with_zstandard_is_searched_by_a_process_that_never_imported_inspect(tmp_path):
    pytest.importorskip("zstandard")
    log = tmp_path / "a.eval"
    pack = "import sys, zipfile, zipfile_zstd; zipfile.ZipFile(sys.argv[1], 'w', 93).writestr('header.json', sys.argv[2])"
    subprocess.run([sys.executable, "-c", pack, log, EXAMPLES["a Hugging Face token"]], check=True)
    search = "import sys; from ckgit.lab.secrets import find_secrets; print(*find_secrets({'a': open(sys.argv[1], 'rb').read()}))"

    found = subprocess.run([sys.executable, "-c", search, log], check=True, capture_output=True, text=True).stdout

    assert found.startswith("a!header.json:1: a Hugging Face token")


def test_an_archive_that_cannot_be_searched_is_refused():
    content = packed("x" * 1000)
    damaged = content[:45] + bytes(4) + content[49:]

    for unfit in (content[: len(content) // 2], damaged):
        with pytest.raises(CkgitError, match="cannot be searched for secrets") as caught:
            find_secrets({"logs/a.eval": unfit})
        assert "run the same command again" in caught.value.next


def test_a_file_over_the_limit_is_refused_with_size_and_alternative():
    refuse_unfit({"small": b"x", "gone": None})

    with pytest.raises(CkgitError, match=r"run1/model\.bin has 50 MB; at most 50 MB") as caught:
        refuse_unfit({"run1/model.bin": bytes(MAX_FILE_BYTES + 1)})

    assert "SHA-256" in caught.value.next


def test_all_findings_are_told_at_once():
    files = {"a": EXAMPLES["a GitHub token"].encode(), "b": EXAMPLES["an AWS access key"].encode()}

    with pytest.raises(CkgitError, match=r"a:1: a GitHub token.*\n.*b:1: an AWS access key") as caught:
        refuse_unfit(files)

    assert caught.value.state == "nothing was committed"


KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIE+aB3/=\nMIIE\n"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        *((f"a\nWANDB_API_KEY={secret}\nb", f"a\nWANDB_API_KEY={mask(secret.encode())}\nb") for secret in EXAMPLES.values()),
        (f"a\n{KEY}-----END RSA PRIVATE KEY-----\nb", "a\n----… (77 characters)\nb"),
        (f"a\n{KEY}\n[cut]", "a\n----… (49 characters)[cut]"),
        ("nothing here", "nothing here"),
    ],
)
def test_secrets_of_a_log_are_masked_and_no_trace_is_left(text, masked):
    content, found = without_secrets("log", text.encode())

    assert content.decode() == masked
    assert [(finding.path, finding.line) for finding in found] == [("log", 2)] * (text != masked)
    refuse_unfit({"log": content})


def test_a_value_that_contains_another_is_masked_as_a_whole(monkeypatch):
    monkeypatch.setenv("A_TOKEN", "swordfish")
    monkeypatch.setenv("B_TOKEN", "swordfish and chips")

    content, found = without_secrets("log", b"swordfish and chips, swordfish")

    assert content.decode() == "swor… (19 characters), swor… (9 characters)"
    assert len(found) == 2


@given(before=st.binary(max_size=50), after=st.binary(max_size=50))
def test_a_token_is_found_in_any_bytes(before, after):
    content = before + b" " + EXAMPLES["a Hugging Face token"].encode() + b"\n" + after

    if not content.startswith(b"PK\x03\x04"):
        assert "a Hugging Face token" in {finding.rule for finding in find_secrets({"any": content})}


@given(st.binary(min_size=8))
def test_a_mask_shows_four_characters_at_most(value):
    assert mask(value) == f"{value[:4].decode(errors='replace')}… ({len(value)} characters)"

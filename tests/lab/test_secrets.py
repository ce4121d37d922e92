import io
import subprocess
import sys
import time
import zipfile

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ckgit.errors import CkgitError
from ckgit.formats.secret_patterns import mask, masked
from ckgit.lab.secrets import MAX_FILE_BYTES, find_secrets, refuse_unfit, without_secrets

HEX = "0123456789abcdef" * 3
EXAMPLES = {
    "a Hugging Face token": "hf_" + "aB3" * 12,
    "a W&B key": HEX[:40],
    "an AWS access key": "AKIA" + "ABCD1234" * 2,
    "an API key of the form sk-…": "sk-proj-" + "aB3" * 10,
    "a GitHub token": "ghp_" + "aB3d" * 9,
    "a GitLab token": "glpat-" + "aB3-" * 5,
    "a Slack token": "xoxb-1234567890-abcDEF",
    "an npm token": "npm_" + "aB3d" * 9,
    "a PyPI token": "pypi-AgEIcHlwaS5vcmc" + "aB3_" * 10,
    "a Google API key": "AIza" + "aB3-_" * 7,
    "a JSON web token": f"eyJ{'aB3' * 5}.eyJ{'aB3' * 5}.{'aB3_' * 8}",
}
# Forms that are more than the secret itself: the text, and the part of it that is secret.
AROUND = {
    "a password in a URL": [
        ("git clone https://user:password@example.org/x.git", "password"),
        ('"url": "postgresql://ada:s3cr3t-w0rd@db:5432/lab"', "s3cr3t-w0rd"),
        ("redis://:hunter2@localhost", "hunter2"),
    ],
    "a header that authorizes": [
        ("Authorization: Bearer abcDEF123456.ghi", "abcDEF123456.ghi"),
        ("-H 'authorization: Basic dXNlcjpwYXNzd29yZDE='", "dXNlcjpwYXNzd29yZDE="),
    ],
    "an AWS secret key": [("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")],
    "a W&B key": [(f"wandb.login(key='{HEX[:40]}')", HEX[:40])],
}


@pytest.mark.parametrize("rule", EXAMPLES)
def test_each_form_is_found_with_its_place_and_never_shown(rule):
    secret = EXAMPLES[rule]
    text = f"line one\nline two\nWANDB_API_KEY={secret}\n"

    (finding,) = find_secrets({"run1/out": text.encode()})

    assert (finding.path, finding.line, finding.rule) == ("run1/out", 3, rule)
    assert secret not in str(finding)
    assert finding.masked.startswith(secret[:4])


@pytest.mark.parametrize(("rule", "text", "secret"), [(rule, *each) for rule, all_of in AROUND.items() for each in all_of])
def test_a_form_that_is_more_than_its_secret(rule, text, secret):
    (finding,) = find_secrets({"log": f"one\n{text}\n".encode()})
    assert (finding.line, finding.rule, finding.masked) == (2, rule, mask(secret.encode()))
    content, _ = without_secrets("log", text.encode())
    assert content.decode() == text.replace(secret, mask(secret.encode()))
    assert masked(text, {}) == content.decode()


ALIKE = [
    "sha256: " + HEX,
    "commit " + HEX[:40],
    "wandb: run of commit " + HEX[:40],
    "hf_hub",
    "hf_hub_download hf_transfer",
    "ask-me-anything",
    "wandb is a tool",
    "sk-learn",
    "https://example.org:8080/a@b",
    "https://user:$PASSWORD@example.org",
    "https://user:{password}@example.org and https://user:***@example.org",
    "mail ada@example.org: at 12:30@noon",
    "Authorization: Bearer $TOKEN",
    "the bearer of this letter",
    "npm_config_registry npm_lifecycle_event",
    "eyJhbGciOi is how they begin",
    "TOKENIZERS_PARALLELISM=false",
    "glpat-short xoxb-",
]


@pytest.mark.parametrize("text", ALIKE)
def test_what_only_looks_alike(text):
    assert find_secrets({"log": text.encode()}) == []
    assert masked(text, {}) == text


def test_what_is_only_likely_is_masked_and_never_refused():
    text = "sk-learn-compatible-estimators-for-everyone, hf_abcdefghijklmnopq"
    assert find_secrets({"log": text.encode()}) == []
    assert masked(text, {}) == "sk-l… (43 characters), hf_a… (20 characters)"


SECRET_NAMES = (
    *("DB_PASSWORD", "db_passwd", "PGPASSWORD", "MYSQL_PWD", "AWS_CREDENTIALS", "TOKEN_OF_MINE"),
    *("HF_TOKEN", "apikey", "KEY_2", "SSH_PASSPHRASE"),
)
PLAIN_NAMES = (
    *("TOKENIZERS_PARALLELISM", "KEYBOARD_LAYOUT", "PWD", "OLDPWD", "SSH_AUTH_SOCK"),
    *("XDG_SESSION_ID", "KEYMAP", "TOKENIZER"),
)


@pytest.mark.parametrize("name", [*SECRET_NAMES, *PLAIN_NAMES])
def test_names_that_say_that_their_value_is_secret(name, monkeypatch):
    monkeypatch.setenv(name, "value-of-it-1")
    found = [finding.rule for finding in find_secrets({"log": b"a value-of-it-1 b"})]
    assert found == ([f"the value of ${name}"] if name in SECRET_NAMES else [])


@pytest.mark.parametrize("value", ["short", "disabled", "Password", "/home/ada/.keys/id_rsa", "~/keys/lab", "C:\\keys\\lab"])
def test_values_that_are_a_path_or_a_word_are_no_secrets(value, monkeypatch):
    monkeypatch.setenv("MY_KEY", value)
    assert find_secrets({"log": f"see {value} there".encode()}) == []


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


SECRETS = [secret.encode() for secret in EXAMPLES.values() if not secret.startswith("0")]
SECRETS += [text.encode() for all_of in AROUND.values() for text, _ in all_of]
HIDDEN = [secret.encode() for secret in EXAMPLES.values()] + [secret.encode() for all_of in AROUND.values() for _, secret in all_of]


@given(parts=st.lists(st.one_of(st.sampled_from(SECRETS), st.binary(max_size=20)), max_size=8))
def test_what_was_masked_holds_no_secret_and_nothing_else_changed(parts):
    content = b"\n".join(parts)
    after, found = without_secrets("log", content)
    assert not any(secret in after for secret in HIDDEN if secret in content)
    refuse_unfit({"log": after.replace(b"PK\x03\x04", b"")})
    if not found:
        assert after == content
    assert after.count(b"\n") == content.count(b"\n")


TEXT = st.lists(st.one_of(st.characters(), st.just("\udcc3")), max_size=50).map("".join)  # that is a byte of a file name which is no UTF-8


@given(TEXT, TEXT)
def test_what_is_no_secret_is_not_touched(before, after):
    text = f"{before}swordfish{after}"
    assume(text.count("swordfish") == 1)
    assume(not without_secrets("log", text.encode(errors="surrogatepass"))[1])  # no well-known form beside it
    assert masked(text, {}) == text
    assert masked(text, {"MY_TOKEN": "swordfish"}) == f"{before}{mask(b'swordfish')}{after}"


def test_large_logs_are_searched_in_seconds():
    lines = b"2026-11-28 12:00:00 https://example.org:443/x loss:0.5 commit=0123456789abcdef key: wandb bearer sk-x hf_x gl-\n" * 100_000
    begin = time.process_time()  # what others do on the machine does not count
    assert find_secrets({"log": lines}) == []
    assert time.process_time() - begin < 10

"""What a secret looks like: the one list for what is refused in commits and for what is masked where ckgit speaks.

Each form has two patterns. What is certain is refused in a commit, and must not be anything else: a refusal can cost a night.
What is likely is only masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

SHORTEST_VALUE = 8  # a shorter value of a variable would be found everywhere


class SecretPattern(NamedTuple):
    """A well-known form. The secret is a pattern's last group, or all of it where it has none.

    A pattern is compiled, by `re` and once, where a hint is found: most commands meet none, and all of them take 2 ms.
    """

    rule: str
    hints: tuple[bytes | re.Pattern[bytes], ...]  # in small letters; where none of these is, the form is not
    certain: bytes
    likely: bytes


class FoundSecret(NamedTuple):
    """A secret in a text: its bytes are those from `start` to `end`."""

    start: int
    end: int
    rule: str


def _form(rule: str, hints: tuple[bytes | re.Pattern[bytes], ...], certain: bytes, likely: bytes | None = None) -> SecretPattern:
    return SecretPattern(rule, hints, certain, likely or certain)


_DIGIT = rb"(?=[A-Za-z_.~+/-]*[0-9])"  # words with hyphens have none
_URL_USER = rb"://[^\s/:@\"'<>\\]*:"
_URL_END = rb"(?=@[^\s@/]*[A-Za-z0-9])"
_FORMS = (
    _form("a Hugging Face token", (re.compile(rb"hf_[a-z0-9]{16}"),), rb"\bhf_[A-Za-z0-9]{30,}\b", rb"\bhf_[A-Za-z0-9]{16,}\b"),
    _form(
        "a W&B key",
        (b"wandb",),
        rb"(?i:wandb)(?![^\n]{0,40}(?i:commit|sha|hash|digest|revision))[\w\"'(, \t:=.-]{1,40}?\b([0-9a-f]{40})\b",
    ),
    _form("an AWS access key", (b"akia", b"asia"), rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    _form(
        "an AWS secret key",
        (b"secret_access_key",),
        rb"(?i:secret_access_key)[\"']?\s{0,3}[:=]\s{0,3}[\"']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])",
    ),
    _form("an API key of the form sk-…", (b"sk-",), rb"\bsk-" + _DIGIT + rb"[A-Za-z0-9_-]{20,}", rb"\bsk-[A-Za-z0-9_-]{20,}"),
    _form(
        "a GitHub token",
        (re.compile(rb"gh[pousr]_"), b"github_pat_"),
        rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})\b",
        rb"\b(?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{16,}\b",
    ),
    _form("a GitLab token", (re.compile(rb"gl[a-z]{2,5}-"),), rb"\bgl(?:pat|dt|rt|ptt|cbt|ft|imt|agent|soat)-[A-Za-z0-9_.-]{16,}"),
    _form("a Slack token", (b"xox",), rb"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    _form("an npm token", (b"npm_",), rb"\bnpm_[A-Za-z0-9]{36}\b"),
    _form("a PyPI token", (b"pypi-age",), rb"\bpypi-AgE[A-Za-z0-9_-]{40,}"),
    _form("a Google API key", (b"aiza", b"ya29"), rb"\b(?:AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{40,})(?![A-Za-z0-9_-])"),
    _form("a JSON web token", (b"eyj",), rb"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{20,}"),
    _form(
        "a header that authorizes",
        (b"bearer", b"authorization"),
        rb"(?i:authorization)[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?i:bearer|basic|token)\s+(" + _DIGIT + rb"[A-Za-z0-9._~+/=-]{16,})",
        rb"\b(?i:bearer|authorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?:basic|token))\s+(" + _DIGIT + rb"[A-Za-z0-9._~+/=-]{16,})",
    ),
    # what stands for a password is none: $NAME, {name}, <name>, ***
    _form("a password in a URL", (b"://",), _URL_USER + rb"((?![$%{*]|x{3,}@|\.{3}@)[^\s/@\"'<>\\]{3,})" + _URL_END),
    # to its end, or as far as it goes where a log was cut
    _form(
        "a private key",
        (b"private key",),
        rb"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:(?s:.){1,16384}?-----END [A-Z ]*PRIVATE KEY-----|[A-Za-z0-9+/=\s]*)",
    ),
)
# Parts of a variable's name: MY_TOKEN, APIKEY, dbPassword; no TOKENIZERS_PARALLELISM, no KEYBOARD.
_SECRET_NAME = re.compile(r"(?:TOKEN|KEY|PWD)S?(?:_|$)|SECRET|PASSW|PASSPHRASE|CREDENTIAL", re.IGNORECASE)
_FOLDERS = ("PWD", "OLDPWD")
_A_PATH = re.compile(r"[~.]{0,2}(?:/[\w.+@ -]+)+/?|[A-Za-z]:\\.*")
_NO_SECRETS = frozenset(("changeme", "disabled", "required", "optional", "password", "username", "localhost", "undefined", "interactive"))


def secret_values(environment: Mapping[str, str]) -> dict[bytes, str]:
    """The values of variables whose names say that they are secret, with those names.

    A value that is a path or a common word is none: it would be found everywhere.
    """
    return {
        value.encode(errors="surrogateescape"): name
        for name, value in environment.items()
        if name not in _FOLDERS and _SECRET_NAME.search(name) and _may_be_secret(value)
    }


def _may_be_secret(value: str) -> bool:
    return len(value) >= SHORTEST_VALUE and value.lower() not in _NO_SECRETS and not _A_PATH.fullmatch(value)


def find(content: bytes, values: Mapping[bytes, str], *, certain: bool) -> list[FoundSecret]:
    """Every secret in a text, in order; of those that overlap, the one that begins first, or is longer.

    Args:
        values: as `secret_values` has them.
        certain: whether what is only likely is left out.
    """
    hits = sorted([*_of_variables(content, values), *_of_forms(content, certain=certain)], key=lambda hit: (hit.start, -hit.end))
    kept: list[FoundSecret] = []
    for hit in hits:
        if not kept or hit.start >= kept[-1].end:
            kept.append(hit)
    return kept


def _of_variables(content: bytes, values: Mapping[bytes, str]) -> Iterator[FoundSecret]:
    for value, name in values.items():
        at = content.find(value)
        while at >= 0:
            yield FoundSecret(at, at + len(value), f"the value of ${name}")
            at = content.find(value, at + len(value))


def _of_forms(content: bytes, *, certain: bool) -> Iterator[FoundSecret]:
    small = content.lower()
    for form in _FORMS:
        if _is_near(form, small):
            for match in re.finditer(form.certain if certain else form.likely, content):
                yield FoundSecret(*match.span(match.lastindex or 0), form.rule)


def _is_near(form: SecretPattern, small: bytes) -> bool:
    """Whether a text, in small letters, may hold this form; thousands of files are looked through at once."""
    for hint in form.hints:  # noqa: SIM110 - a generator takes longer than the search
        if hint in small if isinstance(hint, bytes) else hint.search(small):
            return True
    return False


def without(content: bytes, hits: list[FoundSecret]) -> bytes:
    """The text with each of these hits, as `find` has them, masked."""
    parts, at = [], 0
    for hit in hits:
        parts += [content[at : hit.start], mask(content[hit.start : hit.end]).encode()]
        at = hit.end
    return b"".join([*parts, content[at:]])


def mask(value: bytes) -> str:
    """The length of a secret, and its first four characters where that leaves enough."""
    shown = value[:4].decode(errors="replace") if len(value) >= SHORTEST_VALUE else ""
    return f"{shown}… ({len(value)} characters)"


def masked(text: str, environment: Mapping[str, str]) -> str:
    """A text for people without anything that looks like a secret."""
    content = text.encode(errors="surrogatepass")
    hits = find(content, secret_values(environment), certain=False)
    return without(content, hits).decode(errors="surrogatepass") if hits else text

"""Asks the hub of Hugging Face for a model, in a process of its own: `python -m ckgit.lab.models.hub_client REPO REVISION [FOLDER]`.

Prints what there is to fetch as a line of JSON, `{"revision": commit, "files": {name: bytes}}`, and fetches it into FOLDER, where one is
given. What the hub refused is a last line `{"error": kind, "message": text}`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from ckgit.experiment.card import is_model_file

_DOCUMENTS = ("readme.md", "license", "license.md", "license.txt", "notice", "notice.txt")  # small, and what one may do is said there
_CLIENTS = ("httpx", "httpx2", "requests")  # what huggingface_hub talks to the network with


def main(repo: str, revision: str, folder: str = "") -> int:
    """Ask, and fetch; the exit code."""
    from huggingface_hub import HfApi, snapshot_download

    try:
        found = HfApi().model_info(repo, revision=revision, files_metadata=True)
        wanted = chosen({file.rfilename: file.size or 0 for file in found.siblings or ()})
        _tell({"revision": found.sha, "files": wanted})
        if folder:
            snapshot_download(repo, revision=found.sha, local_dir=folder, allow_patterns=list(wanted))
    except Exception as error:  # noqa: BLE001 - whatever the client raises is told by kind
        _tell({"error": _kind(error), "message": str(error).partition("\n")[0]})
        return 1
    return 0


def _tell(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()


def chosen(files: Mapping[str, int]) -> dict[str, int]:
    """Of a repository's files, those of the model: its top folder without weights of other formats, and what says how it may be used."""
    top = {name: size for name, size in files.items() if "/" not in name and (is_model_file(name) or name.lower() in _DOCUMENTS)}
    return {name: size for name, size in top.items() if not name.endswith(".safetensors") or name.startswith("model")}


def _kind(error: Exception) -> str:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return "gated"
    if isinstance(error, errors.RevisionNotFoundError):
        return "no revision"
    if isinstance(error, errors.RepositoryNotFoundError | errors.HFValidationError):
        return "no model"
    if isinstance(error, errors.OfflineModeIsEnabled | errors.LocalEntryNotFoundError) or type(error).__module__.startswith(_CLIENTS):
        return "unreachable"
    return "failed"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

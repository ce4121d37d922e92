"""What inspect-ai's entry point loads: it registers the model API `ckgit`, and imports no framework before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspect_ai.model import modelapi

if TYPE_CHECKING:
    from ckgit.workers.inspect_ai.model_api.provider import CkgitAPI


@modelapi(name="ckgit")
def ckgit() -> type[CkgitAPI]:
    """The class behind `--model ckgit/NAME`."""
    from ckgit.workers.inspect_ai.model_api.provider import CkgitAPI

    return CkgitAPI

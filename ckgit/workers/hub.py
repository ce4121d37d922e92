"""Fetches data sets from the Hugging Face hub, or from its cache on this machine. Called by a person's command, never by a job."""

from __future__ import annotations

import io
from collections.abc import Mapping

from ckgit.errors import CkgitError, Exit


def fetch(name: str, *, config: str | None, split: str | None, revision: str | None) -> Mapping[str, bytes]:
    """Each split of a data set as the bytes of a Parquet file.

    Args:
        name: as the hub calls it, e.g. `org/name`; or a folder of files that `datasets` can load.
        config: one of its configurations, where it has several.
        split: the one to fetch; all where it is None.
        revision: branch, tag or commit on the hub.

    Raises:
        CkgitError: TOOL_MISSING, `datasets` is not installed; COMMAND_FAILED, it cannot be had.
    """
    try:
        import datasets
    except ImportError:
        what = "the hub is asked by datasets, which is not installed"
        raise CkgitError(what, code=Exit.TOOL_MISSING, next="pip install datasets") from None
    datasets.disable_progress_bars()
    try:
        found = datasets.load_dataset(name, config, split=split, revision=revision)
    except Exception as error:  # noqa: BLE001 - whatever the hub, the network or a file makes it raise
        raise CkgitError(
            f"{name} cannot be fetched: {str(error).strip() or type(error).__name__}",
            code=Exit.COMMAND_FAILED,
            state="nothing was written",
            next="check the name and the network; where there is none, bring the file yourself: ckgit data add FILE",
        ) from None
    splits = {split: found} if split else dict(found)
    return {str(one): _parquet(rows) for one, rows in splits.items()}


def _parquet(rows: object) -> bytes:
    content = io.BytesIO()
    rows.to_parquet(content)  # type: ignore[attr-defined]
    return content.getvalue()

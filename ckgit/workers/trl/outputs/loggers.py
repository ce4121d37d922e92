"""What others show losses with, beside our own log: TensorBoard's events, and a run of W&B that is sent nowhere.

Which ones is the cluster profile's `loggers`, as they change nothing that is trained. Files lie in `artifacts/`, and are not committed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def begin(trainer: Any, folder: Path, loggers: Sequence[str]) -> None:
    """Have a trainer write them, too. Where, they are told by the environment of this process, which is how transformers asks for it.

    Args:
        folder: the run's, `experiments/NAME/RUN`.
    """
    from transformers.integrations import get_reporting_integration_callbacks

    artifacts = (folder / "artifacts").absolute()
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(artifacts / "tensorboard")
    if "wandb" in loggers:
        _keep_offline(artifacts, folder)
    for callback in get_reporting_integration_callbacks(list(loggers)):
        trainer.add_callback(callback)


def _keep_offline(artifacts: Path, folder: Path) -> None:
    (artifacts / "wandb").mkdir(exist_ok=True)  # else it writes into a temporary folder
    # It would send what it has, the code that runs, and the state of git; and it would write into the home folder.
    folders = dict.fromkeys(("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"), str(artifacts / "wandb"))
    switches = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DISABLE_CODE": "true", "WANDB_DISABLE_GIT": "true"}
    kept = {"WANDB_LOG_MODEL": "false", "WANDB_WATCH": "false", "WANDB_CONSOLE": "off"}
    os.environ.update({**folders, **switches, **kept, "WANDB_DIR": str(artifacts)})
    os.environ.update({"WANDB_PROJECT": folder.parent.name, "WANDB_NAME": folder.name})


def end(loggers: Sequence[str]) -> None:
    """Have them write what they still hold."""
    if "wandb" in loggers:
        import wandb

        wandb.finish()

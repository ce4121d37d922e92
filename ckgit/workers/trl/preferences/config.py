"""What `finetune.yaml` says of DPO, by TRL's own names, with what it would decide by itself."""

from __future__ import annotations

from typing import Any

from ckgit.experiment.design.plan import Run

# What `trl dpo` starts, in a process that finds no torchao, on rows that are tokens already.
_ALONE = (
    'import runpy, sys; sys.modules["torchao"] = None; import trl; trl.DPOTrainer._prepare_dataset = lambda self, rows, *others: rows; '
    'runpy.run_module("trl.scripts.dpo", run_name="__main__")'
)


def by_hand(path: str) -> list[str]:
    """The lines of a comment that say how a training is repeated."""
    return [
        f"#   python -c '{_ALONE}' --config {path}",
        "# That is what `trl dpo` starts, but for one function, which makes tokens of texts and knows of no rows that are tokens: it would",
        "# train what a template writes after the end of a turn, and see another date than evaluation.",
    ]


def loss(run: Run) -> dict[str, Any]:
    """The loss, and what the model is held to."""
    return {
        "loss_type": ["sigmoid"],
        "beta": float(run["beta"]),
        "f_divergence_type": "reverse_kl",
        "label_smoothing": 0.0,
        "ld_alpha": None,
        "use_weighting": False,
        "disable_dropout": True,
        "sync_ref_model": False,
        "precompute_ref_log_probs": False,
        "pad_to_multiple_of": None,
    }

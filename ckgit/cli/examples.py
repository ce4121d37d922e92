"""Two examples for each command's `--help`: what it is mostly used for first."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, str]] = {
    "init": ("ckgit init my-lab --slots 1", "ckgit -C my-repository init"),
    "models": ("ckgit models list", "ckgit models add SmolLM2-135M-Instruct ~/models/SmolLM2-135M-Instruct --commit"),
    "models add": ("ckgit models add tiny ~/models/tiny --commit", "ckgit models add tiny /scratch/models/tiny"),
    "models list": ("ckgit models list", "ckgit models list --json"),
    "hooks": ("ckgit hooks install", "ckgit -C my-lab hooks status"),
    "hooks install": ("ckgit hooks install", "ckgit -C my-lab hooks install"),
    "hooks uninstall": ("ckgit hooks uninstall", "ckgit -C my-lab hooks uninstall"),
    "hooks status": ("ckgit hooks status", "ckgit hooks status --json"),
    "hooks run": ("ckgit hooks run pre-commit", "ckgit hooks run commit-msg .git/COMMIT_EDITMSG"),
    "hooks print": ("ckgit hooks print pre-receive", "ckgit hooks print pre-commit"),
    "design": ("ckgit design cap_lora", "ckgit design cap_lora2 --like cap_lora --set controls.lr=1e-4"),
    "design-experiment": ("ckgit design-experiment cap_lora", "ckgit design-experiment cap_lora --from design.yaml"),
    "validate": ("ckgit validate design.yaml", "ckgit validate cap_lora --json"),
    "advance": ("ckgit advance cap_lora --to analyzed", "ckgit advance cap_lora --dry-run"),
    "status": ("ckgit status cap_lora", "ckgit status cap_lora --json"),
    "list": ("ckgit list --state trained --limit 10", "ckgit list --where lora_rank=8 --where 'lr<1e-3' --json"),
    "log": ("ckgit log cap_lora", "ckgit log cap_lora --json"),
    "show": ("ckgit show cap_lora", "ckgit show cap_lora rank8"),
    "why": ("ckgit why cap_lora", "ckgit why cap_lora --json"),
    "verify": ("ckgit verify cap_lora", "ckgit verify --all --json"),
    "retry": ("ckgit retry cap_lora", "ckgit retry cap_lora --run rank8 --mem 64G"),
    "cancel": ("ckgit cancel cap_lora", "ckgit cancel cap_lora --job rank8/finetune"),
    "revise": ("ckgit revise cap_lora --set controls.lr=1e-4", "ckgit revise cap_lora --from design.yaml"),
    "worker": ("ckgit worker", "ckgit worker scaffold-inspect cap_lora --run rank8"),
    "scaffold-experiment": ("ckgit scaffold-experiment cap_lora", "ckgit scaffold-experiment cap_lora --dry-run"),
    "run-experiment": ("ckgit run-experiment cap_lora", "ckgit run-experiment cap_lora --no-wait"),
    "analyze-experiment": ("ckgit analyze-experiment cap_lora", "ckgit analyze-experiment cap_lora --dry-run"),
    "schema": ("ckgit schema", "ckgit schema design"),
    "quickstart": ("ckgit quickstart", "ckgit quickstart my-lab --dry-run"),
}


def epilog(command: str) -> str:
    """The end of a command's help."""
    return "\n".join(["\b", "Examples:", *(f"  {example}" for example in EXAMPLES[command])])

"""Two examples for each command's `--help`: what it is mostly used for first."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, str]] = {
    "init": ("ckgit init my-lab --slots 1", "ckgit -C my-repository init --ci github"),
    "models": ("ckgit models list", "ckgit models add SmolLM2-135M-Instruct ~/models/SmolLM2-135M-Instruct --commit"),
    "models add": (
        "ckgit models add tiny ~/models/tiny",
        "ckgit models add SmolLM2-135M-Instruct HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
    "models list": ("ckgit models list", "ckgit models list --json"),
    "models show": ("ckgit models show tiny", "ckgit models show tiny --json"),
    "data": ("ckgit data show data/words_5L.json", "ckgit data add ~/reviews.csv"),
    "data show": ("ckgit data show data/words_5L.json", "ckgit data show words --experiment cap_lora --rendered rank8 --rows 1"),
    "data add": ("ckgit data add ~/reviews.csv --name reviews", "ckgit data add org/name --split train --revision main --dry-run"),
    "ci": ("ckgit ci may-start", "ckgit ci comment --dry-run"),
    "ci approvals": ("ckgit ci approvals", "ckgit ci approvals --json"),
    "ci may-start": ("ckgit ci may-start", "ckgit -C my-lab ci may-start --json"),
    "ci comment": ("ckgit ci comment", "ckgit ci comment --dry-run"),
    "ci guard": ("ckgit ci guard", "ckgit -C my-lab ci guard"),
    "hooks": ("ckgit hooks install", "ckgit -C my-lab hooks status"),
    "hooks install": ("ckgit hooks install", "ckgit -C my-lab hooks install"),
    "hooks uninstall": ("ckgit hooks uninstall", "ckgit -C my-lab hooks uninstall"),
    "hooks status": ("ckgit hooks status", "ckgit hooks status --json"),
    "hooks run": ("ckgit hooks run pre-commit", "ckgit hooks run commit-msg .git/COMMIT_EDITMSG"),
    "hooks print": ("ckgit hooks print pre-receive", "ckgit hooks print pre-commit"),
    "doctor": ("ckgit doctor", "ckgit doctor --json"),
    "clean": ("ckgit clean", "ckgit clean cap_lora --checkpoints --keep best"),
    "archive": ("ckgit archive cap_lora --with logs", "ckgit archive --restore cap_lora-0123456789ab.ckgit.tar"),
    "delete": ("ckgit delete cap_lora", "ckgit delete cap_lora --undo"),
    "task": ("ckgit task list", "ckgit task new sentiment --template multiple-choice --experiment cap_lora"),
    "task new": ("ckgit task new prices --template numeric --data data/prices.json", "ckgit task new sentiment --dry-run"),
    "task check": ("ckgit task check capitalization", "ckgit task check capitalization --experiment cap_lora --rows 5"),
    "task list": ("ckgit task list", "ckgit task list --json"),
    "design": ("ckgit design cap_lora", "ckgit design cap_lora2 --like cap_lora --set controls.lr=1e-4"),
    "design-experiment": ("ckgit design-experiment cap_lora", "ckgit design-experiment cap_lora --from design.yaml"),
    "validate": ("ckgit validate design.yaml", "ckgit validate cap_lora --json"),
    "import": ("ckgit import cruijff ~/experiments/cap_4L --output cap_4L.yaml", "ckgit import cruijff ~/experiments/cap_4L --json"),
    "import cruijff": ("ckgit import cruijff ~/experiments/cap_4L", "ckgit import cruijff ~/experiments/cap_4L --output cap_4L.yaml"),
    "advance": ("ckgit advance cap_lora --to analyzed", "ckgit advance cap_lora --dry-run"),
    "status": ("ckgit status cap_lora", "ckgit status cap_lora --json"),
    "list": ("ckgit list --state trained --limit 10", "ckgit list --where lora_rank=8 --where 'lr<1e-3' --json"),
    "dashboard": ("ckgit dashboard --output lab-pages", "ckgit dashboard --serve --open"),
    "watch": ("ckgit watch", "ckgit watch cap_lora"),
    "bisect": ("ckgit bisect cap_lora/rank8_lr1e-4 cap_lora/rank16_lr1e-5", "ckgit bisect cap_lora/rank8 other/rank16 --design between"),
    "log": ("ckgit log cap_lora", "ckgit log cap_lora --json"),
    "show": ("ckgit show cap_lora", "ckgit show cap_lora rank8"),
    "report": ("ckgit report cap_lora --open", "ckgit report cap_lora --pdf --output cap_lora.pdf"),
    "view": ("ckgit view cap_lora", "ckgit view cap_lora rank8 --no-open"),
    "why": ("ckgit why cap_lora", "ckgit why cap_lora --json"),
    "verify": ("ckgit verify cap_lora", "ckgit verify --all --json"),
    "review": ("ckgit review cap_lora", "ckgit review origin/main..HEAD --html review.html"),
    "reproduce": ("ckgit reproduce cap_lora --sample 1", "ckgit reproduce cap_lora rank8 --cluster gpu"),
    "results": ("ckgit results --where lora_rank=8 --sort -value", "ckgit results --where 'value > 0.9' --format csv --output best.csv"),
    "compare": ("ckgit compare cap_lora cap_lora2", "ckgit compare cap_lora/rank8 cap_lora/base"),
    "sql": (
        "ckgit sql 'SELECT experiment, max(value) FROM results GROUP BY ALL'",
        "ckgit sql 'SELECT cluster, sum(gpu_hours) FROM attempts GROUP BY ALL' --format json",
    ),
    "retry": ("ckgit retry cap_lora", "ckgit retry cap_lora --run rank8 --mem 64G"),
    "cancel": ("ckgit cancel cap_lora", "ckgit cancel cap_lora --job rank8/finetune"),
    "close": ("ckgit close cap_lora --because 'The claim does not hold.'", "ckgit close cap_lora --reopen"),
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

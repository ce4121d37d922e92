"""What the job runs: `python -m tiny_evaluate SETTINGS RESULT`. Answers each row greedily and notes which are right."""

import datetime
import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from ckgit.formats.rows import parse_rows
from ckgit.workers.rendering import Renderer


def main(settings: dict[str, str], result: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(settings["model"])
    # ckgit's own rendering: the tokens are those of training
    renderer = Renderer(
        settings["trained_from"],
        dataset_type=settings["dataset_type"],
        prompt=settings["prompt"],
        system_prompt=settings["system_prompt"],
        template_date=datetime.date.fromisoformat(settings["template_date"]),
    )
    data = Path(settings["data"])
    answers = []
    for row in parse_rows(data.read_bytes(), suffix=data.suffix)[settings["split"]]:
        prefix = renderer.prefix(row.input)
        tokens = model.generate(torch.tensor([prefix]), do_sample=False, max_new_tokens=16, eos_token_id=sorted(renderer.stops))
        answer = renderer.tokenizer.decode(tokens[0, len(prefix) :], skip_special_tokens=True)
        answers.append({"answer": answer, "target": row.output, "right": answer == row.output})
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))

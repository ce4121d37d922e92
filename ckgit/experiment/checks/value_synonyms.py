"""What other tools call the values of our parameters, and values of theirs that have no like here."""

from __future__ import annotations

from collections.abc import Mapping

_MEANT: dict[str, tuple[str, ...]] = {
    "bf16": ("bfloat16", "torch.bfloat16", "bf16-mixed", "bf16-true", "brain", "fp16", "float16", "torch.float16", "half"),
    "fp32": ("float32", "torch.float32", "float", "single", "full_precision", "32", "32-true", "f32"),
    "cuda": ("gpu", "nvidia", "cuda:0", "rocm", "hip"),
    "cpu": ("mps", "metal"),
    "adamw": (
        "adamw_torch", "adamw_torch_fused", "adamw_hf", "adamw_apex_fused", "adamw_bnb_8bit", "adamw_8bit", "paged_adamw",
        "paged_adamw_8bit", "paged_adamw_32bit", "torch.optim.adamw", "fused_adamw",
    ),
    "adam": ("torch.optim.adam",),
    "sgd": ("torch.optim.sgd", "momentum"),
    "cosine": ("cosine_with_warmup", "cosine_annealing", "cosineannealinglr", "get_cosine_schedule_with_warmup", "cosine_decay"),
    "constant": ("constant_with_warmup", "constant_lr", "none", "fixed", "flat"),
    "lora": ("peft", "adapter", "lora_finetune", "lora_finetune_single_device", "lora_finetune_distributed"),
    "full": ("full_finetune", "full_finetuning", "full_finetune_single_device", "full_finetune_distributed", "fft", "sft", "all"),
    "chat": (
        "chat_completion", "chatml", "chat_template", "conversation", "conversational", "messages", "sharegpt", "instruct", "instruction",
        "alpaca",
    ),
    "text_completion": ("completion", "text", "plain", "plain_text", "raw", "base", "pretrain", "pretraining"),
    "fine-tuned": ("train", "trained", "training", "finetune", "fine-tune", "tuned", "sft"),
    "control": ("base", "baseline", "base_model", "reference", "untrained"),
    "eval-only": ("eval", "evaluation", "evaluate", "checkpoint", "test"),
    "greater": (">", ">=", "gt", "higher", "more", "better", "larger", "increase", "up"),
    "less": ("<", "<=", "lt", "lower", "fewer", "worse", "smaller", "decrease", "down"),
    "q_proj": ("q", "wq", "query", "q_attn"),
    "k_proj": ("k", "wk", "key"),
    "v_proj": ("v", "wv", "value"),
    "output_proj": ("o", "wo", "o_proj", "out_proj", "dense"),
}  # fmt: skip
_BY_VALUE = {theirs: [ours for ours, all_of in _MEANT.items() if theirs in all_of] for names in _MEANT.values() for theirs in names}
_NOTES = {
    "chat_completion": " (text_completion is for a base model without a chat template)",
    **dict.fromkeys(("fp16", "float16", "torch.float16", "half"), " (fp16 is not supported)"),
    **dict.fromkeys(("mps", "metal"), " (jobs run on cuda and cpu)"),
}
# Values that a near spelling would be wrong for, each with what can be had; what is so of one tool, its parameters say.
_NONE_SUCH = {
    "auto": "auto is not supported; write a value",
    **dict.fromkeys(("tpu", "npu", "xpu", "hpu"), "jobs run on cuda and cpu"),
}


def advice(value: str, choices: list[str], none_such: Mapping[str, str]) -> str | None:
    """What to write instead of another tool's value; None where it is not known here.

    Args:
        none_such: values that the document's tool has nothing like, each with what can be had.
    """
    plain = value.lower()
    names = (plain, plain.replace("-", "_"), plain.replace("_", "-"))
    meant = next((ours for name in names for ours in _BY_VALUE.get(name, ()) if ours in choices), None)
    if meant:
        return f"did you mean {meant}?{next((_NOTES[name] for name in names if name in _NOTES), '')}"
    known = {**_NONE_SUCH, **none_such}
    spelled = next((choice for choice in choices if choice.replace("-", "_") == plain.replace("-", "_").replace(" ", "_")), None)
    return f"did you mean {spelled}?" if spelled else next((known[name] for name in names if name in known), None)

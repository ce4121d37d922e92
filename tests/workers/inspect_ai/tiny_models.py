"""Makes model folders with random weights and a tokenizer of bytes: `python tiny_models.py FOLDER`.

Folders: `plain` (a chat template that writes BOS, and a tokenizer that adds one, as Llama 3 has them), `dated` (its template
asks for today's date), `base` (no template).
"""

import sys
from pathlib import Path

BOS, EOT = "<bos>", "<eot>"
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}[{{ message['role'] }}]{{ message['content'] }}<eot>{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
DATED = "{{ bos_token }}Today is {{ strftime_now('%d %b %Y') }}." + TEMPLATE.removeprefix("{{ bos_token }}")


def tokenizer(template: str | None):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {char: number for number, char in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocabulary |= {"<bos>": 256, "<eot>": 257}
    bytes_ = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    bytes_.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bytes_.decoder = decoders.ByteLevel()
    bytes_.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 256)])
    fast = PreTrainedTokenizerFast(tokenizer_object=bytes_, bos_token=BOS, eos_token=EOT)
    fast.chat_template = template
    return fast


def main(folder: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=258, max_position_embeddings=256, bos_token_id=256, eos_token_id=257, **sizes))
    # Sampling settings of a model folder must not reach an evaluation.
    model.generation_config.update(do_sample=True, temperature=0.6, top_p=0.9)
    for name, template in {"plain": TEMPLATE, "dated": DATED, "base": None}.items():
        model.save_pretrained(folder / name)
        tokenizer(template).save_pretrained(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

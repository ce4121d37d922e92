import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.workers.torchtune.design import recipes
from ckgit.workers.torchtune.design.parameters import TorchtuneParameters
from ckgit.workers.torchtune.design.recipes import RECIPES, recipe_values


def test_values_come_under_our_names():
    values = recipe_values("llama3_2/1B_lora_single_device")
    assert values == {
        "method": "lora", "epochs": 1, "batch_size": 4, "gradient_accumulation_steps": 8, "lr": 3e-4, "weight_decay": 0.01,
        "optimizer": "adamw", "lr_scheduler": "cosine", "num_warmup_steps": 100, "lora_rank": 64, "lora_alpha": 128.0, "lora_dropout": 0.0,
        "lora_attn_modules": ["q_proj", "v_proj", "output_proj"], "apply_lora_to_mlp": True, "shuffle": True, "device": "cuda",
        "dtype": "bf16", "compile": False, "enable_activation_checkpointing": False, "log_every_n_steps": 1,
    }  # fmt: skip


def test_a_recipe_without_lora_is_full_fine_tuning():
    assert recipe_values("qwen2/0.5B_full_single_device")["method"] == "full"


def test_without_a_schedule_the_learning_rate_stays():
    assert recipe_values("llama3_2/1B_full_single_device")["lr_scheduler"] == "constant"


def test_an_optimizer_we_have_no_word_for_is_refused(monkeypatch):
    monkeypatch.delitem(recipes._OPTIMIZERS, "bitsandbytes.optim.PagedAdamW")
    with pytest.raises(CkgitError, match=r"its optimizer bitsandbytes\.optim\.PagedAdamW is not one of"):
        recipe_values("llama2/7B_full_low_memory")


def test_every_config_of_the_four_recipes_is_read_or_refused_with_a_reason():
    from torchtune._recipe_registry import get_all_recipes

    read, reasons = [], []
    for recipe in get_all_recipes():
        for config in recipe.configs:
            try:
                TorchtuneParameters.model_validate(recipe_values(config.name), strict=False)
                assert recipe.name in RECIPES
                read.append(config.name)
            except CkgitError as error:
                reasons.append(error.what)
    assert len(read) > 80
    assert all("cannot supply defaults: it " in reason for reason in reasons)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("llama2/7B_lora_dpo", "it belongs to recipe lora_dpo_distributed"),
        ("mistral/7B_full_ppo_low_memory", "ppo_full_finetune_single_device"),
        ("llama3_2/1B_qat_lora", "qat_lora_finetune_distributed"),
        ("llama3_2/1B_qlora_single_device", "4-bit"),
        ("llama3/8B_dora", "DoRA"),
        ("llama3_2_vision/11B_lora", "images"),
    ],
)
def test_training_of_another_kind_is_refused(name, words):
    with pytest.raises(CkgitError, match=words) as caught:
        recipe_values(name)
    assert caught.value.code is Exit.INVALID_DESIGN


def test_a_name_that_is_not_there_is_answered_with_close_ones():
    with pytest.raises(CkgitError, match="torchtune has no config 'llama3_2/1b_lora'") as caught:
        recipe_values("llama3_2/1b_lora")
    assert "llama3_2/1B_lora" in caught.value.next

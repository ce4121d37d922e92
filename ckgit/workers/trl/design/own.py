"""What TRL and PEFT alone have: passed on under their own names, as they stand in a design under `trl`.

Every field of the configurations that `trl sft` reads is either here, a parameter that trainers have in common, or named in `decided`;
a test holds this against the installed TRL, so that a new version cannot bring one that nobody looked at.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ckgit.experiment.design.fields import Positive, PositiveInt
from ckgit.experiment.design.parameters import OwnParameters

_FILES = "ckgit decides which files a job leaves, and where"
_SENT = "nothing is sent anywhere"
_LOGGED = "each step is logged in full precision; log_every_n_steps says how often"
_MEASURED = "validation_split and validate_every_n_steps decide what is measured"
_TOKENS = "rows are rendered by the model's own template, are compared with what the model is handed, and are never cut"
_PACKED = "packing_length packs whole rows into sequences of so many tokens, by best fit decreasing"
_ROWS = "the design's data, train_split and shuffle decide it"
_DEVICE = "device, dtype and compute decide where and in which numbers it is trained"
_PROCESSES = "compute.training and sharding decide which processes train, and how"
_OPTIMIZER = "optimizer, lr and weight_decay decide it, and text in it could say otherwise"
_BY_METHOD = "method decides it"
_AS_SAVED = "what is evaluated is made from what PEFT saves of the model as it is"
_GOES_ON = "a training that was cut short goes on by itself, where that ends with the same bytes"


def _all(why: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), why)


Beta = Annotated[float, Field(ge=0, lt=1)]


class TrlOwnParameters(OwnParameters):
    """Parameters of TRL and PEFT that no other trainer here has, by their own names."""

    decided: ClassVar[Mapping[str, str]] = {
        **_all(_FILES, "output_dir save_strategy save_only_model save_on_each_node save_total_limit enable_jit_checkpoint"),
        **_all(_SENT, "push_to_hub hub_token hub_private_repo hub_model_id hub_strategy hub_always_push hub_revision project run_name"),
        **_all(_SENT, "trackio_space_id trackio_bucket_id trackio_static_space_id report_to"),
        **_all(_LOGGED, "logging_strategy logging_first_step log_on_each_node logging_nan_inf_filter include_num_input_tokens_seen"),
        **_all(_LOGGED, "log_level log_level_replica disable_tqdm skip_memory_metrics debug"),
        **_all(_MEASURED, "eval_strategy eval_delay per_device_eval_batch_size prediction_loss_only eval_on_start eval_do_concat_batches"),
        **_all(_MEASURED, "eval_use_gather_object eval_accumulation_steps include_for_metrics batch_eval_metrics"),
        **_all(_MEASURED, "metric_for_best_model greater_is_better bf16_full_eval fp16_full_eval test_split_size"),
        **_all(_MEASURED, "do_train do_eval do_predict"),
        **_all(_TOKENS, "chat_template_path dataset_text_field dataset_kwargs dataset_num_proc eos_token pad_token truncation_mode"),
        **_all(_TOKENS, "pad_to_multiple_of completion_only_loss assistant_only_loss"),
        **_all(_PACKED, "packing packing_strategy padding_free eval_packing"),
        **_all(_TOKENS, "remove_unused_columns label_names length_column_name"),
        **_all(_ROWS, "dataset_name dataset_config dataset_train_split dataset_test_split dataset_streaming datasets streaming"),
        **_all(_ROWS, "shuffle_dataset dataloader_drop_last dataloader_in_order ignore_data_skip"),
        **_all("training is counted in epochs: epochs", "max_steps"),
        **_all("batch_size decides it, and a job that lacks memory is retried with half of it", "auto_find_batch_size"),
        **_all(_DEVICE, "use_cpu bf16 fp16 tf32"),
        **_all(_PROCESSES, "accelerator_config parallelism_config ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers"),
        **_all(_PROCESSES, "ddp_static_graph ddp_backend ddp_timeout fsdp fsdp_config deepspeed local_rank average_tokens_across_devices"),
        **_all(_PROCESSES, "ignore_bias_buffers"),
        **_all(_OPTIMIZER, "optim_args optim_target_modules"),
        **_all("lr_scheduler decides it, with num_cycles, min_lr and num_decay_steps", "lr_scheduler_kwargs"),
        **_all("enable_activation_checkpointing decides it", "activation_checkpointing activation_checkpointing_kwargs"),
        **_all("enable_activation_checkpointing decides it", "gradient_checkpointing_kwargs"),
        **_all(_BY_METHOD, "use_peft use_dora load_in_8bit load_in_4bit bnb_4bit_quant_type use_bnb_nested_quant bnb_4bit_quant_storage"),
        **_all(_BY_METHOD, "lora_task_type"),
        **_all(_AS_SAVED, "lora_target_parameters use_cache"),
        **_all("nothing is offloaded to the CPU", "activation_offloading"),
        **_all("it needs a package that no extra of ckgit brings", "use_liger_kernel liger_kernel_config"),
        **_all("a run begins with its model card", "model_revision model_init_kwargs trust_remote_code"),
        **_all(_GOES_ON, "resume_from_checkpoint restore_callback_states_from_checkpoint"),
    }

    adam_beta1: Beta | None = Field(default=None, description="AdamW's first beta; 0.9 when absent.")
    adam_beta2: Beta | None = Field(default=None, description="AdamW's second beta; 0.999 when absent.")
    adam_epsilon: Positive | None = Field(default=None, description="AdamW's epsilon; 1e-8 when absent.")
    loss_type: Literal["nll", "dft"] | None = Field(
        default=None, description="Loss of a token: its negative log-likelihood, or that times its probability (DFT)."
    )
    label_smoothing_factor: Beta | None = Field(default=None, description="Share of each label that is spread over all tokens.")
    neftune_noise_alpha: Positive | None = Field(default=None, description="Noise on the embeddings (NEFTune).")
    router_aux_loss_coef: Positive | None = Field(default=None, description="Share of the routers' loss, of a mixture of experts.")
    use_rslora: bool | None = Field(default=None, description="Whether LoRA is scaled by alpha/sqrt(rank) instead of alpha/rank.")
    lora_modules_to_save: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="Modules that are trained as a whole beside LoRA's matrices."
    )
    attn_implementation: Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3"] | None = Field(
        default=None, description="How attention is computed while training; transformers chooses when absent."
    )
    torch_compile_backend: str | None = Field(default=None, description="With `compile`: its backend.")
    torch_compile_mode: str | None = Field(default=None, description="With `compile`: its mode.")
    torch_empty_cache_steps: PositiveInt | None = Field(default=None, description="Steps after which a GPU's unused memory is freed.")
    full_determinism: bool | None = Field(default=None, description="Whether torch may use deterministic algorithms only.")
    dataloader_num_workers: PositiveInt | None = Field(default=None, description="Processes that make batches.")
    dataloader_prefetch_factor: PositiveInt | None = Field(default=None, description="Batches that each of them makes beforehand.")
    dataloader_persistent_workers: bool | None = Field(default=None, description="Whether they stay between epochs.")
    dataloader_pin_memory: bool | None = Field(default=None, description="Whether batches lie in memory from which a GPU reads faster.")
    dataloader_multiprocessing_context: Literal["fork", "spawn", "forkserver"] | None = Field(
        default=None, description="How these processes are started."
    )


ATTENTION, FLASH = "attn_implementation", "flash_attention"  # and how the names of those begin that a GPU alone has
LORA_ONLY = ("use_rslora", "lora_modules_to_save")
# Those that mean nothing beside other values of a parameter: the parameter, and the values that they need.
NEEDS: Mapping[str, tuple[str, tuple[object, ...]]] = {
    # Preferences have a loss of their own; that these change a training on them was not seen.
    **dict.fromkeys(("loss_type", "label_smoothing_factor", "neftune_noise_alpha", "router_aux_loss_coef"), ("objective", ("sft",))),
    **dict.fromkeys(("adam_beta1", "adam_beta2", "adam_epsilon"), ("optimizer", ("adamw", "adamw_8bit"))),
    **dict.fromkeys(("torch_compile_backend", "torch_compile_mode"), ("compile", (True,))),
    **dict.fromkeys(("torch_empty_cache_steps", "dataloader_pin_memory"), ("device", ("cuda",))),
}
LOSS, SMOOTHING = "loss_type", "label_smoothing_factor"  # of whose losses one alone, TRL's own, is smoothed
# Those that say how the processes work which make batches: torch refuses them where there are none.
OF_WORKERS = ("dataloader_prefetch_factor", "dataloader_persistent_workers", "dataloader_multiprocessing_context")
WORKERS = "dataloader_num_workers"
EXPERTS = "router_aux_loss_coef"
# Model types that have no experts, as transformers builds them; a job of any other one asks the model's configuration.
DENSE = frozenset(
    (
        *("cohere", "cohere2", "falcon", "gemma", "gemma2", "gemma3", "gemma3_text", "glm", "glm4", "gpt2", "gpt_neox", "granite", "llama"),
        *("mistral", "olmo", "olmo2", "olmo3", "opt", "phi", "phi3", "qwen2", "qwen3", "smollm3", "stablelm", "starcoder2"),
    )
)
# Those that draw from the random numbers of the training, as a validation does.
DRAWING = ("neftune_noise_alpha",)

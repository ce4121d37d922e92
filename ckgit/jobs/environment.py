"""What a job keeps of the environment that it is started in."""

from __future__ import annotations

# Who and where it is, and what it may use. What else its tools need, the cluster profile's set-up lines export. Job scripts keep no more,
# whoever starts them, and the local scheduler gives no more.
KEPT = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "KRB5CCNAME"),
    *("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"),
    *("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ZE_AFFINITY_MASK"),
    *("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"),
)

"""The header of a safetensors file: which weights it holds, in which format. Bytes in, no I/O, no torch."""

from __future__ import annotations

import math
from typing import NamedTuple

from ckgit.formats.plain_json import read_json

LENGTH_BYTES = 8
SMALLEST_HEADER = 2  # {}
LARGEST_HEADER = 100_000_000  # the format's own limit
ITEM_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
ITEM_BYTES |= {"F8_E4M3": 1, "F8_E5M2": 1}
DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


class HeaderError(ValueError):
    """The bytes are not a safetensors header; the message says why."""


class Tensor(NamedTuple):
    """One weight."""

    dtype: str  # as the file writes it, e.g. F32
    shape: tuple[int, ...]

    @property
    def items(self) -> int:
        """Number of numbers in it."""
        return math.prod(self.shape)


class Header(NamedTuple):
    """What a file holds."""

    tensors: dict[str, Tensor]
    file_bytes: int  # size that the file must have


def header_length(start: bytes) -> int:
    """Bytes of the header that follows the first eight.

    Raises:
        HeaderError: fewer than eight bytes, or a length that no header has.
    """
    if len(start) < LENGTH_BYTES:
        raise HeaderError(f"it ends after {len(start)} bytes")
    length = int.from_bytes(start[:LENGTH_BYTES], "little")
    if not SMALLEST_HEADER <= length <= LARGEST_HEADER:
        raise HeaderError("it does not begin with the length of a header")
    return length


def parse_header(content: bytes, length: int) -> Header:
    """Parse the header's bytes; `length` is what `header_length` said.

    Raises:
        HeaderError: cut short, not JSON, or entries that make no sense.
    """
    if len(content) < length:
        raise HeaderError(f"its header is cut after {len(content)} of {length} bytes")
    try:
        document = read_json(content)
        document.pop("__metadata__", None)
        tensors = {name: Tensor(entry["dtype"], tuple(map(int, entry["shape"]))) for name, entry in document.items()}
        end = max((int(entry["data_offsets"][1]) for entry in document.values()), default=0)
        needed = sum(tensor.items * ITEM_BYTES[tensor.dtype] for tensor in tensors.values())
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise HeaderError(f"its header cannot be read: {type(error).__name__} {error}") from None
    if needed != end:
        raise HeaderError(f"its header lists {needed} bytes of weights in {end} bytes")
    return Header(tensors, LENGTH_BYTES + length + end)

"""The benches of the orchestrators' tests serve the commands, too."""

from tests.orchestrators.conftest import bare_bench, bench, designed, tiny_package

__all__ = ["bare_bench", "bench", "designed", "tiny_package"]

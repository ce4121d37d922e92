"""The model folders of inspect's tests, for another evaluator."""

from tests.workers.inspect_ai.conftest import models  # noqa: F401  # a fixture

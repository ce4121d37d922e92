"""What keeps inspect to what it is told: in its own process, nothing else may give it a setting."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def forget_settings() -> None:
    """Take INSPECT_* out of this process: each is the default of a setting of inspect, or has it load hooks."""
    for name in [name for name in os.environ if name.startswith("INSPECT_")]:
        del os.environ[name]


def pin() -> None:
    """Leave to inspect its run config and its command line alone, wherever an environment or a `.env` comes from.

    Modules of the work tree can be imported, after all that is installed.
    """
    forget_settings()
    os.environ["PYTHON_DOTENV_DISABLED"] = "1"  # for tasks that read one themselves
    from inspect_ai._util import dotenv

    dotenv.find_dotenv = lambda **_: ""  # it would look in all folders above, so also in the lab
    sys.path.append(str(Path.cwd()))

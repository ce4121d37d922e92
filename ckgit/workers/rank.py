"""One of several processes that train together: it runs a script, and ends as soon as that has ended well.

`torchrun … ckgit/workers/rank.py SCRIPT WORD...`. The interpreter's own end is left out. gloo's threads outlive
`destroy_process_group`, because caches of torch keep the group, and such a thread frees tensors of the last collective whenever it comes
to it; for that it asks for the interpreter's lock. Where the interpreter is ending by then, which is seen on busy machines only,
Python ends the thread in the middle of C++, and that aborts the process: `terminate called without an active exception`, SIGABRT.
All was saved, and the job would count as failed.
"""

from __future__ import annotations

import os
import runpy
import sys


def main() -> None:
    """Run the script whose path is the first word, with the others. What it raises, and a code other than 0, end it as ever."""
    del sys.argv[0]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

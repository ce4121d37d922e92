"""Rows of a data set: how they are found in files of any format, and made into what a model is given and should answer.

Training, evaluation, the check of tokens and the design's measurements all read rows with this package, so that they cannot differ:
`files` makes raw rows of bytes, `shapes` makes examples of raw rows, `source` is what a job is told of both.
"""

from ckgit.formats.rows.files import SUFFIXES as SUFFIXES
from ckgit.formats.rows.files import DataFiles as DataFiles
from ckgit.formats.rows.files import read_files as read_files
from ckgit.formats.rows.files import read_records as read_records
from ckgit.formats.rows.row import DEFAULT_SPLIT as DEFAULT_SPLIT
from ckgit.formats.rows.row import MOST_NAMED as MOST_NAMED
from ckgit.formats.rows.row import PLACEHOLDER as PLACEHOLDER
from ckgit.formats.rows.row import DataError as DataError
from ckgit.formats.rows.row import RawRow as RawRow
from ckgit.formats.rows.row import RawRows as RawRows
from ckgit.formats.rows.row import Row as Row
from ckgit.formats.rows.row import Turn as Turn
from ckgit.formats.rows.row import listed as listed
from ckgit.formats.rows.row import messages as messages
from ckgit.formats.rows.row import no_split as no_split
from ckgit.formats.rows.row import split_sizes as split_sizes
from ckgit.formats.rows.row import user_text as user_text
from ckgit.formats.rows.shapes import Layout as Layout
from ckgit.formats.rows.shapes import Shape as Shape
from ckgit.formats.rows.shapes import examples as examples
from ckgit.formats.rows.shapes import rows_of as rows_of
from ckgit.formats.rows.splits import subset as subset


def parse_rows(content: bytes, *, suffix: str, input_column: str = "input", output_column: str = "output") -> dict[str, list[Row]]:
    """Split name to rows, in file order, of one file with two columns.

    A `.json` file holds an object of splits (`{"train": [...], "test": [...]}`) or one list; a `.jsonl` file holds a row a line.
    A row of a list may name its `split`; otherwise it belongs to `train`.

    Raises:
        DataError: see `read_records` and `rows_of`.
    """
    return rows_of(read_records(content, suffix=suffix), Layout(input_column=input_column, output_column=output_column))

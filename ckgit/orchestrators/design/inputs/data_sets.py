"""The data sets that a summary names: found in the lab, outside of it or made by a function, and measured."""

from __future__ import annotations

from ckgit.experiment.checks.data_profile import DataProfile
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.data import Generator
from ckgit.experiment.design.model import DataSet, RecordedData
from ckgit.experiment.design.row_files import made_path, source_path
from ckgit.formats.rows import DataError
from ckgit.lab.git.objects import FOLDER
from ckgit.orchestrators.data.find import FoundFiles, folder_in, measure, outside
from ckgit.orchestrators.design.inputs.search import Search, digest_of
from ckgit.orchestrators.design.inputs.source_commit import python_beside
from ckgit.workers.generate import GeneratorError, generate


class DataSets:
    """The data sets of one summary."""

    def __init__(self, search: Search, cluster: Cluster, *, make: bool) -> None:
        self._search = search
        self._cluster = cluster
        self._make = make
        self.surveys: dict[str, DataProfile] = {}  # by name of the data set
        self.rows: dict[str, bytes] = {}  # files that the design's commit will have, by path

    def measured(self) -> dict[str, RecordedData]:
        """What is recorded of each; those that are not all there are left out, with a problem."""
        found = {}
        for name, data_set in self._search.summary.data.items():
            files = self._files(name, data_set)
            if files is None:
                continue
            try:
                made = measure(files, data_set, self._search.summary.experiment.name, name)
            except DataError as error:
                self._search.add(f"data.{name}{'.path' if files.folder else ''}", f"{data_set.named}: {error}")
                continue
            code = {"generator": digest_of(self._search.sources[data_set.generator.file])} if data_set.generator else {}
            found[name], self.surveys[name] = made.recorded.model_copy(update=code), made.profile
            if made.source:
                self.rows[source_path(self._search.summary.experiment.name, name)] = made.source
        return found

    def _files(self, name: str, data_set: DataSet) -> FoundFiles | None:
        """The bytes of a data set, held against the digest that the design gives; None where they are not all there."""
        if data_set.generator:
            return self._made(name, data_set.generator)
        try:
            files = self._in_lab(data_set)
        except DataError as error:
            self._search.add(f"data.{name}.path", str(error))
            return None
        is_outside = files is None
        if is_outside:
            files = self._outside(name, data_set)
        if files is None:
            return None
        self._search.sources |= files.contents if not is_outside else {}
        if data_set.sha256 is None and is_outside:
            self._search.add(f"data.{name}", f"a data file outside the lab needs its digest in the design; write sha256: {files.sha256}")
        if data_set.sha256 not in (None, files.sha256):
            changed = f"{data_set.named} has changed: its SHA-256 is {files.sha256}, not the one given here"
            self._search.add(f"data.{name}.sha256", changed)
        return files

    def _made(self, name: str, generator: Generator) -> FoundFiles | None:
        """Rows that a function makes now; or as they were committed, where nothing is to be executed."""
        path, place = made_path(self._search.summary.experiment.name, name), f"data.{name}.generator"
        if generator.file not in self._search.sources:
            self._search.add(place, self._search.absent(generator.file, "file with a function"))
            return None
        if not self._make:
            return FoundFiles({path: self._search.place.read([path]).contents[path]})
        try:
            content = generate(python_beside(self._search.place, generator.file), generator.function, generator.args, generator.seed)
        except GeneratorError as error:
            self._search.add(place, str(error))
            return None
        self.rows[path] = self._search.sources[path] = content
        return FoundFiles({path: content})

    def _in_lab(self, data_set: DataSet) -> FoundFiles | None:
        """A data set of the commit; None where it does not hold all of it."""
        if data_set.path and self._search.others.get(data_set.path) == FOLDER:
            return folder_in(self._search.place.lab.root, self._search.place.commit, data_set.path)
        if all(path in self._search.sources for path in data_set.paths):
            return FoundFiles({path: self._search.sources[path] for path in data_set.paths})
        return None

    def _outside(self, name: str, data_set: DataSet) -> FoundFiles | None:
        """A data set that the lab does not hold."""
        root = self._cluster.data_root
        lacking = [path for path in data_set.paths if path not in self._search.sources]
        place = f"data.{name}.path" if data_set.path else f"data.{name}.files"
        if not root or any(path in self._search.others for path in lacking):
            remedy = "; a file outside the lab needs data_root in its cluster profile"
            self._search.add(place, self._search.absent(lacking[0], "file", remedy))
            return None
        try:
            return outside(self._search.place.lab.folder(root), data_set.paths)
        except OSError as error:
            self._search.add(place, f"{lacking[0]} is neither in the lab nor readable under {root}: {error.strerror}")
            return None

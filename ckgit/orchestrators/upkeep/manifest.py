"""What an archive has, as its last member `manifest.json` lists it."""

from pydantic import Field

from ckgit.experiment.design.fields import Frozen
from ckgit.experiment.design.model import Sha256
from ckgit.experiment.outputs.fields import CommitId

MANIFEST_FILE, BUNDLE_FILE, FILES = "manifest.json", "refs.bundle", "files/"


class ArchivedFile(Frozen):
    """A member of the archive."""

    bytes: int
    sha256: Sha256


class ArchiveManifest(Frozen):
    """What an archive has, with digests."""

    schema_version: int = 1
    experiment: str
    lab: str = Field(description="Name of the lab that it is from.")
    version: str = Field(description="Of the ckgit that made it.")
    commit: CommitId = Field(description="Of the experiment's branch.")
    refs: dict[str, CommitId] = Field(description="Commits by ref, as the bundle has them.")
    notes: dict[CommitId, tuple[str, ...]] = Field(default={}, description="By commit: what second executions of its jobs came to.")
    cluster: str = Field(default="", description="Profile in whose work root its work trees were; empty where it has no files of one.")
    files: dict[str, ArchivedFile] = Field(description="Every other member, by its name.")

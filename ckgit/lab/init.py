"""Making a lab, or making an existing repository one."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from string import Template
from typing import NamedTuple

from ckgit import __version__
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.names import MAX_LENGTH, name_problem
from ckgit.lab.git.branch import commit_tree, empty_tree, is_about_identity, move, no_identity
from ckgit.lab.git.checkout import refuse_lagging
from ckgit.lab.git.command import GitError, git, git_lines, git_ok, git_text
from ckgit.lab.git.tree import plan_tree, write_objects
from ckgit.lab.git.worktrees import Branch
from ckgit.lab.lab import CONFIG, default_branch, repository
from ckgit.lab.tasks.new import LABELLED, TaskFacts, plan_task

# Files of a new lab, and the templates that they are copies of. Git and packaging would obey the templates if they began with a dot.
_FILES = {
    ".gitignore": "gitignore",
    CONFIG: "ckgit.toml",
    "data/words_5L.json": "data/words_5L.json",
    "experiments/.gitattributes": "experiments/gitattributes",
    "models/.gitignore": "models/gitignore",
    "models/README.md": "models/README.md",
    "tasks/capitalization.py": "tasks/capitalization.py",
}
_MESSAGE = "{what}\n\nAdded: {paths}.\n"
# Where a lab's pull requests are, and the workflows that are written for it.
_WORKFLOWS = {"github": ("experiment-comment", "experiment-review", "experiment-run")}
FORGES = tuple(_WORKFLOWS)
_VERSION = "@CKGIT_VERSION@"
# What an example brings: the file that makes its rows, its task, and the answers that this may have.
_EXAMPLES = {"survey": ("anes96.py", "vote", ("Clinton", "Dole"))}
EXAMPLES = tuple(_EXAMPLES)


class NewLab(NamedTuple):
    """What `make_lab` did, or would do."""

    folder: Path
    branch: str
    files: Mapping[str, bytes]  # that it adds, by path; empty when the folder is a lab already, and has what was asked for beside that
    adopted: bool  # whether there was a repository before
    was_lab: bool = False


def workflows(forge: str) -> dict[str, bytes]:
    """The workflows of a lab on a forge, by path, for the ckgit that writes them."""
    top = resources.files("ckgit.lab") / "templates" / forge
    texts = {name: (top / f"{name}.yml").read_text(encoding="utf-8") for name in _WORKFLOWS[forge]}
    return {f".{forge}/workflows/{name}.yml": text.replace(_VERSION, __version__).encode() for name, text in texts.items()}


def example(name: str) -> dict[str, bytes]:
    """What an example brings into a lab, by path: a function that makes its rows, and its task."""
    maker, task, labels = _EXAMPLES[name]
    top = resources.files("ckgit.lab") / "templates" / name
    return {f"data/{maker}": (top / maker).read_bytes(), **plan_task(task, LABELLED, TaskFacts(labels=labels)).files}


def plan_lab(folder: Path, slots: int = 1, *, ci: str | None = None, with_example: str | None = None) -> NewLab:
    """What making a lab in `folder` would add. Nothing is written.

    Args:
        slots: jobs that its local cluster runs at the same time.
        ci: one of `FORGES`, whose workflows it is to have, too; a lab that has none of them yet gets them.
        with_example: one of `EXAMPLES`, whose files it is to have, likewise.

    Raises:
        CkgitError: USAGE, it cannot become a lab.
    """
    folder = folder.absolute()
    asked = {**(workflows(ci) if ci else {}), **(example(with_example) if with_example else {})}
    templates = {**_templates(folder, slots), **asked}
    if folder.exists() and not folder.is_dir():
        raise _refused(folder, "is a file, not a folder", "ckgit init DIR")
    _refuse_unknown_user(folder)
    top = _repository_of(folder)
    if top is None:
        return NewLab(folder, "main", _missing(folder, templates, set()), adopted=False)
    if top != folder.resolve():
        if folder.is_dir() and any(folder.iterdir()):
            raise _refused(folder, f"is a folder of the repository {top}", f"ckgit init {top}")
        if (top / CONFIG).is_file():
            raise _refused(folder, f"lies in the lab {top}, and a lab in a lab is none of its experiments", "ckgit init DIR, outside of it")
        return NewLab(folder, "main", templates, adopted=False)
    branch, base = _base(top)
    tracked = set(git_lines(top, "ls-tree", "-r", "-z", "--name-only", base)) if base else set()
    if CONFIG in tracked:
        return NewLab(folder, branch, _missing(folder, asked, tracked), adopted=True, was_lab=True)
    return NewLab(folder, branch, _missing(folder, templates, tracked), adopted=True)


def make_lab(folder: Path, slots: int = 1, *, ci: str | None = None, with_example: str | None = None) -> NewLab:
    """Make a lab in `folder`: a new repository, or one commit of new files on top of an existing one.

    Nothing that exists is changed, and nothing that is staged or edited is committed. Where the folder is a lab already,
    nothing happens.

    Raises:
        CkgitError: USAGE, it cannot become a lab; BRANCH_MOVED, the user's work is in the way.
    """
    plan = plan_lab(folder, slots, ci=ci, with_example=with_example)
    if not plan.files:
        return plan
    if plan.adopted:
        _commit(plan)
        return plan
    made = [place for place in (plan.folder, *plan.folder.parents) if not place.exists()]
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
        git(plan.folder, "init", "--quiet", f"--initial-branch={plan.branch}")
        _commit(plan)
    except BaseException as error:
        shutil.rmtree(plan.folder / ".git", ignore_errors=True)
        if made:
            shutil.rmtree(made[-1], ignore_errors=True)
        if isinstance(error, OSError):
            again = "mend this, or choose a folder that you can write: ckgit init DIR"
            why = f"the lab cannot be made here: {error.strerror or error}"
            raise CkgitError(why, code=Exit.COMMAND_FAILED, where=str(folder), state="nothing is left of it", next=again) from error
        raise
    return plan


def _commit(plan: NewLab) -> None:
    root, git_dir = repository(plan.folder)
    branch = Branch(root, git_dir, plan.branch)
    refuse_lagging(branch)
    base = branch.tip()
    tree = plan_tree(root, base or empty_tree(root), plan.files)
    write_objects(root, tree.objects, len(tree.oid))
    what = _added(plan.files) if plan.was_lab else "Make this repository a lab of ckgit"
    message = _MESSAGE.format(what=what, paths=", ".join(sorted(plan.files)))
    move(branch, base, commit_tree(root, tree.oid, base or None, message), subject="init")


def _added(paths: Iterable[str]) -> str:
    """What a lab that was there gets."""
    reviewed = any(path.startswith(".") for path in paths)
    return "Have pull requests of experiments reviewed" if reviewed else "Add an example"


def _refused(folder: Path, what: str, advice: str) -> CkgitError:
    return CkgitError(what, code=Exit.USAGE, where=str(folder), state="nothing was written", next=advice)


def _refuse_unknown_user(folder: Path) -> None:
    """Before anything is written: would git accept a commit by this user?"""
    place = next(place for place in (folder, *folder.parents) if place.is_dir())
    for who in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
        try:
            git(place, "-c", "user.useConfigOnly=true", "var", who)
        except GitError as error:
            if not is_about_identity(error):
                raise
            raise no_identity() from None


def _repository_of(folder: Path) -> Path | None:
    """Top of the checkout that a folder (which need not exist) lies in."""
    place = next(place for place in (folder, *folder.parents) if place.is_dir())
    try:
        bare = git_text(place, "rev-parse", "--is-bare-repository") == "true"
    except GitError as error:
        if "not a git repository" in error.stderr:
            return None
        raise
    if bare:
        raise _refused(folder, "is a bare repository", "run `ckgit init` in a clone of it, and push")
    return repository(place)[0]


def _base(top: Path) -> tuple[str, str]:
    """The branch that gets the commit and its tip, which is empty in a repository without commits."""
    if not git_lines(top, "for-each-ref", "--count=1") and git_ok(top, "symbolic-ref", "-q", "HEAD"):
        return git_text(top, "symbolic-ref", "HEAD").removeprefix("refs/heads/"), ""
    name, tip = default_branch(top)
    if not git_ok(top, "show-ref", "--verify", "--quiet", f"refs/heads/{name}"):
        raise _refused(top, f"its default branch {name} is only on the remote", f"git switch {name}")
    return name, tip


def _missing(folder: Path, templates: Mapping[str, bytes], tracked: set[str]) -> dict[str, bytes]:
    """The templates whose place in the folder is not taken by something, tracked or not."""
    present = {path for path in templates if (folder / path).exists() or (folder / path).is_symlink()}
    if CONFIG in present - tracked:
        raise _refused(folder, f"{CONFIG} is there, but not committed", f"commit {CONFIG} to the default branch, or move it away")
    return {path: content for path, content in templates.items() if path not in tracked | present}


def _templates(folder: Path, slots: int) -> dict[str, bytes]:
    """Every file of a new lab."""
    top = resources.files("ckgit.lab") / "templates"
    files = {path: (top / source).read_bytes() for path, source in _FILES.items()}
    config = Template(files[CONFIG].decode()).substitute(name=_lab_name(folder), slots=slots)
    return {**files, CONFIG: config.encode()}


def _lab_name(folder: Path) -> str:
    """The folder's name, as far as it can be a name."""
    text = re.sub(r"[^A-Za-z0-9._+-]+|\.{2,}", "-", folder.resolve().name)[:MAX_LENGTH].strip(".-_+")
    return "lab" if name_problem(text) else text

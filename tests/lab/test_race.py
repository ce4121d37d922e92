"""Many processes on one lab at the same moment."""

import multiprocessing

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.lab.experiments import list_experiments
from tests.lab.helpers import assert_sound, design
from tests.lab.step import step

MANY = 32
PROCESSES = multiprocessing.get_context("fork")  # a fork has everything imported, so that all reach the barrier soon


def contend(barrier, results, folder, name, note):
    barrier.wait()
    try:
        results.put((0, step(folder, name, note)))
    except CkgitError as error:
        results.put((int(error.code), str(error)))


def together(lab, names):
    """A transition of each name in a process of its own, all begun at one moment: exit codes and what they say."""
    barrier, results = PROCESSES.Barrier(len(names)), PROCESSES.Queue()
    work = [(barrier, results, lab.root, name, f"by{n}") for n, name in enumerate(names)]
    processes = [PROCESSES.Process(target=contend, args=args) for args in work]
    for process in processes:
        process.start()
    answers = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    return answers


def test_many_processes_on_as_many_experiments_keep_every_commit(lab, run):
    names = [f"e{n}" for n in range(MANY)]
    for name in names:
        design(lab, name)

    answers = together(lab, names)

    assert [code for code, _ in answers] == [0] * MANY, answers
    assert {row.state for row in list_experiments(lab)} == {"scaffolded"}
    assert {run(lab.root, "rev-parse", f"exp/{name}") for name in names} == {commit for _, commit in answers}
    assert_sound(lab.root)


@pytest.mark.parametrize("branch", ["main", "exp/cap"])
def test_many_processes_on_one_experiment_each_win_or_change_nothing(lab, run, branch):
    design(lab)
    run(lab.root, "switch", "--quiet", branch)

    answers = together(lab, ["cap"] * MANY)

    won = [commit for code, commit in answers if code == 0]
    assert {code for code, _ in answers} == {0, Exit.BRANCH_MOVED}, answers
    # A late process finds that the branch has moved on, and makes the step after it: each success is one commit, all in one line.
    assert sorted(run(lab.root, "rev-list", "--first-parent", "exp/cap").split()[: len(won)]) == sorted(won)
    assert run(lab.root, "rev-list", "--count", "exp/cap") == str(len(won) + 2)
    assert run(lab.root, "status", "--porcelain") == ""
    assert_sound(lab.root)

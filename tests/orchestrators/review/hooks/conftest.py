"""Experiment `cap`, checked out in a worktree of its own: designed, or scaffolded and with an attempt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ckgit.experiment.lifecycle import Event
from ckgit.experiment.state import State
from ckgit.lab.commit import CommitPlan, make_commit
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.lab.snapshot.take import take_snapshot
from tests.conftest import designed, run_git
from tests.orchestrators.review.hooks.by_hand import SUMMARY

__all__ = ["designed"]


def step(lab: Lab, event: Event, files: dict[str, bytes | None]) -> str:
    """A step of ckgit's on experiment `cap`."""
    now = take_snapshot(lab, "cap")
    plan = CommitPlan("cap", event, now.branch_tip, {}, now.summary.summary.digest, "")
    summary = now.summary.with_state(State(plan.target)).dump()
    return make_commit(lab, plan._replace(files={SUMMARY: summary, **files}))


def ledger(*tokens: str, **values: object) -> bytes:
    """A ledger with an attempt for each token."""
    attempts = [
        {
            "job": f"{token}/finetune",
            "stage": "training",
            "number": 1,
            "token": token,
            "script_sha256": "0" * 64,
            "phase": "submitted",
            "submitted": "2026-11-23T00:00:00Z",
            **values,
        }
        for token in tokens
    ]
    return json.dumps({"schema_version": 1, "cluster": "local", "scheduler": "local", "attempts": attempts}).encode()


@pytest.fixture
def hand(lab: Lab, designed: Snapshot) -> Path:
    """The checkout."""
    run_git(lab.root, "config", "ckgit.hooksVerify", "light")  # these histories have no results that follow from anything
    run_git(lab.root, "worktree", "add", "--quiet", "../hand", "exp/cap")
    return lab.root.parent / "hand"


@pytest.fixture
def submitted(lab: Lab, hand: Path) -> Path:
    """The checkout, with a scaffolded script and an attempt."""
    step(lab, Event.SCAFFOLD, {"experiments/cap/rank4/finetune.slurm": b"#!/bin/sh\n"})
    step(lab, Event.SUBMIT, {"experiments/cap/jobs.json": ledger("a"), "experiments/cap/run-experiment.log": b"a\n"})
    return hand

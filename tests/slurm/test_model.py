"""A model of submission: whatever dies, freezes, comes late or is cancelled, and in whatever order, each job is executed once.

CKGIT_LONG_TESTS in the environment makes 2,000 examples of it; otherwise there are 200, always the same ones.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.compute import Resources
from ckgit.experiment.jobs import FailureClass
from ckgit.experiment.scheduler import JobState, JobStatus, Submission
from ckgit.jobs.script import job_script
from ckgit.schedulers.slurm import records as slurm_records
from ckgit.schedulers.slurm.assess import MOST_TRIES
from ckgit.schedulers.slurm.records import Handover
from ckgit.schedulers.slurm.scheduler import scheduler
from tests.attempts import attempts
from tests.slurm.fake import store
from tests.slurm.simulation import GRACE, POINTS, Ckgit, Job, Simulation, TwiceError, has_locks

LONG = "CKGIT_LONG_TESTS" in os.environ
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
TOKENS = ("ckgit.model.a", "ckgit.model.b.array_0", "ckgit.model.b.array_1")
CLAIM = 'if mkdir "$job/claim" 2>/dev/null; then'
SMALL = Resources(time="01:00:00", mem="100M")
PROFILE = Cluster(scheduler="slurm", grace_seconds=GRACE, account="lab")
ENDS = {"well": ("COMPLETED", "0:0"), "badly": ("FAILED", "1:0"), "limit": ("TIMEOUT", "0:0"), "node": ("NODE_FAIL", "0:0"), "memory": ("OUT_OF_MEMORY", "0:125")}
TIMES = (1.0, GRACE / 2, GRACE + 1, 400.0)


class World:
    """Three ckgit processes that want the same three jobs executed, and what became of them."""

    def __init__(self, *, claim: bool = True) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ckgit-model-", dir=MEMORY if MEMORY.is_dir() else None))
        assert has_locks(self.folder)
        self.slurm = Simulation(self.folder, PROFILE)
        self.ckgits = [Ckgit() for _ in range(3)]
        self.wanted = [self._submission(token, claim=claim) for token in TOKENS]
        self.excused: set[str] = set()  # tokens that SLURM, or someone, kept from being executed
        self.cancelled: dict[str, int] = {}  # executions of a token when its cancellation was complete
        self.allowed = dict.fromkeys(TOKENS, 1)  # executions: a job that is queued again is the same attempt
        self.gone: dict[str, JobStatus] = {}
        self.seen: dict[str, JobStatus] = {}
        self._patches = self.slurm.in_place()
        self._patches.__enter__()

    def close(self) -> None:
        for ckgit in self.ckgits:
            if ckgit.at:
                ckgit.die()
        for program in self.slurm.programs:
            program.end(self.slurm.now)
        self._patches.__exit__(None, None, None)
        shutil.rmtree(self.folder)

    def _submission(self, token: str, *, claim: bool) -> Submission:
        command = ["bash", "-c", 'echo "$CKGIT_JOB" >>executions']
        content = job_script(
            title="a job", script=f"{token}.slurm", resources=SMALL, cluster=PROFILE, inputs={}, programs=[], commands=[command]
        ).decode()
        assert content.count(CLAIM) == 1
        text = content if claim else content.replace(CLAIM, CLAIM.replace("mkdir", "mkdir -p"))
        (self.slurm.work / f"{token}.slurm").write_text(text)
        return Submission(token, f"{token}.slurm", f".ckgit/jobs/{token}/output", SMALL)

    # ---- what ckgit does

    def look(self) -> None:
        """As a Watch does: hand over what is certainly not with the scheduler."""
        slurm, before = self.slurm, dict(self.gone)
        statuses = dict(scheduler.poll(PROFILE, slurm.work, attempts(*TOKENS)).statuses)
        for token, job_status in statuses.items():
            if job_status.state is JobState.GONE:
                assert token not in slurm.alive_when_asked, f"{token} runs and is taken for gone"
                self.gone[token] = job_status
            is_cancelled = (slurm.job_folder(token) / "cancelled").exists()  # then `submit` hands nothing over
            assert job_status.state is not JobState.UNSEEN or token not in before or is_cancelled, f"{token} was gone and is taken for unseen"
        unseen = [submission for submission in self.wanted if statuses[submission.token].state is JobState.UNSEEN]
        for token, job_status in scheduler.submit(PROFILE, slurm.work, unseen).items():
            statuses[token] = job_status
            if job_status.state is JobState.GONE:
                self.gone[token] = job_status
        self.seen = statuses

    def cancel(self, tokens: list[str]) -> None:
        self.excused |= set(tokens)
        scheduler.cancel(PROFILE, self.slurm.work, attempts(*tokens))
        self.cancelled |= {token: self.slurm.executions(token) for token in tokens}

    # ---- what is always so

    def check(self) -> None:
        for token in TOKENS:
            times = self.slurm.executions(token)
            if times > self.allowed[token]:
                raise TwiceError(f"{token} was executed {times} times")
            assert times <= self.cancelled.get(token, times), f"{token} was executed after it had been cancelled"

    def finish(self) -> None:
        """Everything is up again, and one ckgit sees it all to its end."""
        slurm = self.slurm
        slurm.knob(controller="up", sbatch=[], sacct="ok", squeue="ok")
        for ckgit in self.ckgits:
            ckgit.go_on()
        for program in slurm.programs:
            if program.ended is None:
                slurm.let_go_on(program)
                program.end(slurm.now)
        for _ in range(40):
            self._round()
            if all(self.seen[token].state is JobState.GONE for token in TOKENS) and not slurm.alive and not slurm.queue.inbox:
                break
        self._round()  # what is gone stays so
        self.check()
        assert {job_status.state for job_status in self.seen.values()} == {JobState.GONE}, self.seen
        assert not [job for job in slurm.queue.jobs if job.state in {"PENDING", "RUNNING"}], "a job is orphaned"
        for token in TOKENS:
            self._check_end(token)

    def _round(self) -> None:
        ckgit, slurm = self.ckgits[0], self.slurm
        ckgit.begin(self.look)
        ckgit.go_on()
        for one in slurm.alive:
            if not one.started:
                slurm.start(one)
            slurm.leave_status(one)
            slurm.end(one, *ENDS["well"])
        slurm.pass_time(GRACE + 1)

    def _check_end(self, token: str) -> None:
        if token in self.excused:
            return
        job_status = self.seen[token]
        if job_status.ending and job_status.ending.failure is FailureClass.REFUSED:  # given up: SLURM never had it, often enough
            record = slurm_records.read_record(slurm_records.record_folder(self.slurm.work, token))
            assert record, job_status
            assert record.number >= MOST_TRIES, job_status
            assert not self.slurm.executions(token), job_status
            return
        assert self.slurm.executions(token), f"{token} was never executed"
        assert (self.slurm.job_folder(token) / "status.json").exists()
        assert not job_status.ending or job_status.ending.failure not in {FailureClass.CANCELLED, FailureClass.LOST}, job_status.ending


class Model(RuleBasedStateMachine):
    """Anything, in any order."""

    claim = True
    examples = 0

    @initialize()
    def begin(self) -> None:
        type(self).examples += 1
        self.world = World(claim=self.claim)
        self.slurm, self.ckgits = self.world.slurm, self.world.ckgits

    def teardown(self) -> None:
        world = self.__dict__.get("world")
        if not world:
            return
        try:
            if not self.is_broken:
                world.finish()
        finally:
            world.close()

    is_broken = False

    def attempt(self, act, *arguments: object) -> None:
        """A step; once one has failed the end is not looked at any more."""
        try:
            act(*arguments)
            self.world.check()
        except BaseException:
            self.is_broken = True
            raise

    # ---- ckgit

    @rule(number=st.integers(0, 2), until=st.sampled_from(("", "", *POINTS)))
    def ckgit_looks(self, number: int, until: str) -> None:
        ckgit = self.ckgits[number]
        if not ckgit.at:
            ckgit.begin(self.world.look)
        self.attempt(ckgit.go_on, until)

    @precondition(lambda self: any(ckgit.at for ckgit in self.ckgits))
    @rule(data=st.data(), with_its_sbatch=st.booleans())
    def ckgit_dies(self, data: st.DataObject, *, with_its_sbatch: bool) -> None:
        ckgit = data.draw(st.sampled_from([each for each in self.ckgits if each.at]))
        if ckgit.at in {"sbatch runs", "sbatch answered"} and (with_its_sbatch or ckgit.at == "sbatch answered"):
            ckgit.program.end(self.slurm.now)
        self.attempt(ckgit.die)

    @precondition(lambda self: any(ckgit.at in {"sbatch runs", "sbatch answered"} for ckgit in self.ckgits))
    @rule()
    def ckgit_gives_up_on_sbatch(self) -> None:
        for ckgit in self.ckgits:
            ckgit.impatient = ckgit.at in {"sbatch runs", "sbatch answered"}

    @precondition(lambda self: any(not ckgit.at for ckgit in self.ckgits) and not self.world.cancelled)
    @rule(tokens=st.lists(st.sampled_from(TOKENS), min_size=1, unique=True), until=st.sampled_from(("", *POINTS)))
    def ckgit_cancels(self, tokens: list[str], until: str) -> None:
        ckgit = next(each for each in self.ckgits if not each.at)
        ckgit.begin(lambda: self.world.cancel(tokens))
        self.attempt(ckgit.go_on, until)

    # ---- SLURM

    @rule(controller=st.sampled_from(["up", "up", "up", "down", "frozen"]), accounting=st.sampled_from(["ok", "ok", "down", "off"]))
    def slurm_is(self, controller: str, accounting: str) -> None:
        self.slurm.knob(controller=controller, sacct=accounting)

    @rule(how=st.lists(st.sampled_from(["lost", "late", "timeout", "connect", "QOSMaxSubmitJobPerUserLimit"]), min_size=1, max_size=2))
    def sbatch_will(self, how: list[str]) -> None:
        self.slurm.knob(sbatch=how, late_seconds=GRACE * 3)

    @rule(seconds=st.sampled_from(TIMES))
    def time_passes(self, seconds: float) -> None:
        self.slurm.pass_time(seconds)

    @precondition(lambda self: self.orphans)
    @rule()
    def an_sbatch_whose_ckgit_died_goes_on(self) -> None:
        for program in self.orphans:
            self.slurm.let_go_on(program)
            program.end(self.slurm.now)

    @property
    def orphans(self):
        waiting = [ckgit.program for ckgit in self.ckgits if ckgit.at in {"sbatch runs", "sbatch answered"}]
        return [program for program in self.slurm.programs if program.ended is None and program not in waiting]

    # ---- jobs

    def some(self, data: st.DataObject, *, started: bool) -> Job:
        return data.draw(st.sampled_from([one for one in self.slurm.alive if one.started is started]))

    @precondition(lambda self: any(not one.started for one in self.slurm.alive))
    @rule(data=st.data())
    def a_job_starts(self, data: st.DataObject) -> None:
        self.attempt(self.slurm.start, self.some(data, started=False))

    @precondition(lambda self: any(one.started for one in self.slurm.alive))
    @rule(data=st.data(), how=st.sampled_from(sorted(ENDS)), told=st.booleans())
    def a_job_ends(self, data: st.DataObject, how: str, *, told: bool) -> None:
        one = self.some(data, started=True)
        if told or how in {"well", "badly"}:
            self.slurm.leave_status(one, 0 if how == "well" else 1)
        elif one.status is not None:
            self.world.excused.add(one.token)  # executed, and its status is lost with its node
        self.slurm.end(one, *ENDS[how])

    @precondition(lambda self: any(one.started for one in self.slurm.alive))
    @rule(data=st.data())
    def a_job_has_left_its_status_and_still_runs(self, data: st.DataObject) -> None:
        self.slurm.leave_status(self.some(data, started=True))

    @precondition(lambda self: any(not one.started for one in self.slurm.alive))
    @rule(data=st.data(), how=st.sampled_from(["node", "forgotten"]))
    def a_job_is_lost_before_it_starts(self, data: st.DataObject, how: str) -> None:
        one = self.some(data, started=False)
        if self.slurm.owns(one):
            self.world.excused.add(one.token)
        if how == "node":
            self.slurm.end(one, *ENDS["node"])
        else:
            self.slurm.forget(one)

    @precondition(lambda self: any(one.started for one in self.slurm.alive))
    @rule(data=st.data())
    def a_job_is_queued_again(self, data: st.DataObject) -> None:
        one = self.some(data, started=True)
        if self.slurm.owns(one):
            self.world.allowed[one.token] += 1
        self.slurm.ask("scontrol", "requeue", store.label(one.job, self.slurm.queue))


def in_turn(world: World):
    """Acts of ckgit that together come by every point."""
    slurm = world.slurm
    slurm.knob(sbatch=["connect", "timeout"])
    yield world.look
    yield world.look
    yield world.look
    slurm.knob(controller="down")
    yield world.look
    slurm.knob(controller="up")
    yield world.look
    slurm.pass_time(GRACE + 1)
    yield world.look
    for one in slurm.alive:
        slurm.start(one)
    yield lambda: world.cancel([TOKENS[0]])


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_each_point_another_goes_on(point: str):
    world = World()
    try:
        ckgit = world.ckgits[1]
        for act in in_turn(world):
            ckgit.begin(act)
            ckgit.go_on(point)
            if ckgit.at:
                break
        assert ckgit.at == point, "it is never come by"
        ckgit.die()
        world.finish()
    finally:
        world.close()


def run(model: type[Model], **more: object) -> None:
    model.examples = 0
    checks = list(HealthCheck)
    run_state_machine_as_test(
        model, settings=settings(deadline=None, database=None, stateful_step_count=40, suppress_health_check=checks, **more)
    )


@pytest.mark.long
@pytest.mark.slow
def test_each_job_is_executed_once_whatever_happens():
    run(Model, max_examples=2000 if LONG else 200, derandomize=not LONG)


def test_an_array_that_accounting_knows_was_accepted_for_all_its_tasks():
    """One of two tasks was cancelled before the hand-over, whose answer was lost; only the other one is in accounting."""
    world = World()
    try:
        slurm, ckgit = world.slurm, world.ckgits[0]
        for act, answer in ((lambda: world.cancel([TOKENS[1]]), "late"), (world.look, "lost"), (world.look, "lost")):
            ckgit.begin(act)
            ckgit.go_on()
            slurm.knob(sbatch=[answer], late_seconds=GRACE * 3)
        [array] = [one for one in slurm.alive if one.token == TOKENS[2]]
        world.excused.add(array.token)
        slurm.end(array, *ENDS["node"])
        slurm.pass_time(400.0)
        seen = []
        for _ in range(6):
            world._round()
            seen.append(world.seen[TOKENS[1]].state)
        assert seen == sorted(seen, key=[JobState.UNKNOWN, JobState.GONE].index), seen
        world.finish()
    finally:
        world.close()


class WithoutClaim(Model):
    """Jobs that do not ask whether they were started before."""

    claim = False


def fails_at_once(model: type[Model], words: str) -> None:
    with pytest.raises(TwiceError, match=words):
        run(model, max_examples=500, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)


def test_without_the_claim_a_job_is_executed_twice():
    fails_at_once(WithoutClaim, "was executed 2 times")
    assert WithoutClaim.examples < 200


def test_without_the_record_a_job_is_handed_over_twice(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(slurm_records, "take", lambda folder, number: Handover(folder / f"handed.{number}", "", os.open(os.devnull, os.O_RDONLY)))
    monkeypatch.setattr(slurm_records, "take_back", lambda handing: None)
    fails_at_once(Model, "was handed over twice")
    assert Model.examples < 200

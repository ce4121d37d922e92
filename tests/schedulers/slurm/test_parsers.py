"""What SLURM's commands answer, as a real SLURM 22.05.8 printed it; and any other text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckgit.experiment.jobs import FailureClass, Usage
from ckgit.experiment.scheduler import JobState
from ckgit.schedulers.slurm.parsers import (
    AccountRow,
    Answer,
    ParseError,
    QueueRow,
    SbatchOutcome,
    SbatchVerdict,
    is_accounting_off,
    judge_sbatch,
    parse_account,
    parse_queue,
    seconds,
)
from ckgit.schedulers.slurm.scheduler import _accounted
from ckgit.schedulers.slurm.states import ALIVE, ENDED, EndedJob, detail, end_of, ending
from ckgit.schedulers.slurm.usage import usage_of

HEADER = "JOBID|ARRAY_JOB_ID|ARRAY_TASK_ID|STATE|SUBMIT_TIME|START_TIME|TIME_LIMIT|REASON|NAME\n"
QUEUE = f"""\
{HEADER}52|43|0|COMPLETED|1795477865|1795477866|5:00|None|tok.array
43|43|3|PENDING|1795477865|N/A|5:00|None|tok.array
44|44|N/A|RUNNING|1795477866|1795477866|5:00|None|tok.1
51|51|N/A|PENDING|1795477866|1795481466|5:00|BeginTime|new
line|x
50|50|N/A|PENDING|1795477866|N/A|5:00|JobHeldUser|held
"""
ACCOUNT = """\
17|17|CANCELLED by 0|0:0|1795477560|None|1795477568|00:00:00|dep
39|39|FAILED|0:53|1795477576|1795477577|1795477577|00:00:00|j.sh
52|43_0|COMPLETED|0:0|1795477865|1795477866|1795477896|00:00:30|tok.array
43|43_[2-3%2]|PENDING|0:0|1795477865|Unknown|Unknown|00:00:00|tok.array
"""
COSTS = """\
88|88|FAILED|3:0|1795478778|1795478779|1795478784|1-00:00:05|billing=2,cpu=2,gres/gpu=2,mem=100M,node=1|00:01.250||n1|tok.1
88.batch|88.batch|FAILED|3:0|1795478779|1795478779|1795478784|1-00:00:05|cpu=2,gres/gpu=2,mem=100M,node=1|00:01.250|7556K|n1|batch
88.0|88.0|COMPLETED|0:0|1795478779|1795478779|1795478784|1-00:00:05|cpu=2,gres/gpu=2,mem=100M,node=1|00:01.250|1.5M|n1|python
9|9|RUNNING|0:0|1795478778|1795478779|Unknown|00:00:05||00:00:00||n2|tok.2
"""
TIMED_OUT = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n"
DOWN = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)\n"
FAILED = "sbatch: error: Batch job submission failed: "
POLICY = f"{FAILED}Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)\n"


# ---- squeue


def test_the_rows_of_squeue() -> None:
    rows = parse_queue(QUEUE, None)
    assert rows[0] == QueueRow("52", "43", 0, "tok.array", "COMPLETED", 1795477865, 1795477866, "5:00", "None")
    assert [(row.token, row.handle) for row in rows[:3]] == [("tok.array_0", "43_0"), ("tok.array_3", "43_3"), ("tok.1", "44")]
    assert rows[1].start is None
    assert [row.name for row in rows[3:]] == ["new\nline|x", "held"]


def test_an_empty_queue_has_a_header() -> None:
    assert parse_queue(HEADER, None) == []
    assert parse_queue(f"CLUSTER: beta\n{HEADER}", "beta") == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        QUEUE.replace(HEADER, ""),
        "slurm_load_jobs error: Socket timed out\n",
        f"{HEADER}good morning\n",
        f"{HEADER}12|12|N/A|PENDING\n",
    ],
)
def test_what_is_not_the_whole_answer_is_no_empty_queue(text: str) -> None:
    with pytest.raises(ParseError):
        parse_queue(text, None)


def test_a_cluster_that_is_left_out_is_no_empty_queue() -> None:
    with pytest.raises(ParseError, match="beta"):
        parse_queue(QUEUE, "beta")
    with pytest.raises(ParseError, match="beta"):
        parse_queue(f"CLUSTER: alpha\n{QUEUE}", "beta")


# ---- sacct


def test_the_rows_of_sacct() -> None:
    rows = parse_account(ACCOUNT)
    assert rows[0] == AccountRow("17", "17", "dep", "CANCELLED", 0, "0:0", 1795477560, None, 1795477568, 0)
    raw_ids = {0: "52", 2: "43", 3: "43"}
    assert [(row.raw_id, row.array, row.token) for row in rows[2:]] == [(raw_ids[task], "43", f"tok.array_{task}") for task in raw_ids]
    assert parse_account("") == []


@pytest.mark.parametrize(
    ("text", "tasks"),
    [("0-2", [0, 1, 2]), ("0,3-5", [0, 3, 4, 5]), ("1-3%2", [1, 2, 3]), ("0-8:4", [0, 4, 8]), ("7", [7]), ("0,2,...", []), ("N/A", [])],
)
def test_a_row_can_stand_for_several_tasks(text: str, tasks: list[int]) -> None:
    rows = parse_queue(f"{HEADER}2|2|{text}|CANCELLED|1|N/A|5:00|None|tok.array\n2|2|{text}|PENDING|1|N/A|5:00|None|thesis\n", None)
    assert [row.task for row in rows if row.name == "tok.array"] == (tasks or [None])
    assert len([row for row in rows if row.name == "thesis"]) == 1
    booked = parse_account(f"2|2_[{text}]|CANCELLED by 0|0:0|1|None|1|00:00:00|tok.array\n")
    assert [row.token for row in booked] == ([f"tok.array_{task}" for task in tasks] or [f"tok.array_[{text}]"])


def test_accounting_that_is_off_is_not_accounting_that_fails() -> None:
    assert is_accounting_off(Answer(1, "", "Slurm accounting storage is disabled\n"))
    assert not is_accounting_off(Answer(1, "", "sacct: error: Problem talking to the database: Connection refused\n"))
    assert not is_accounting_off(Answer(0, "", "Slurm accounting storage is disabled\n"))
    assert not is_accounting_off(Answer(None, "", ""))


def test_what_an_attempt_took() -> None:
    rows = parse_account(COSTS, extras=4)
    took = usage_of("tok.1", rows)
    assert took == Usage(queue_seconds=1.0, elapsed_seconds=86405.0, cpu_seconds=1.25, gpus=2, peak_memory_bytes=7556 * 1024, node="n1")
    assert took.gpu_hours
    assert usage_of("tok.2", rows) is None  # it has not ended
    assert usage_of("tok.3", rows) is None


def test_gpus_of_named_types_are_summed_where_no_total_is_kept() -> None:
    kinds = COSTS.replace("gres/gpu=2", "gres/gpu:a100=1,gres/gpu:h100=2")
    took = usage_of("tok.1", parse_account(kinds, extras=4))
    assert took
    assert took.gpus == 3


def test_a_job_that_was_queued_again_took_what_all_its_runs_took() -> None:
    again = """\
7|7|REQUEUED|0:0|1000|1010|1110|00:01:40|cpu=2,gres/gpu=2,node=1|00:30.500||n1|tok.1
7.batch|7.batch|CANCELLED|0:15|1010|1010|1110|00:01:40|cpu=2|00:30.500|9M|n1|batch
7|7|COMPLETED|0:0|1110|1230|1240|00:00:10|cpu=2,gres/gpu=2,node=1|00:05||n2|tok.1
7.batch|7.batch|COMPLETED|0:0|1230|1230|1240|00:00:10|cpu=2|00:05|4M|n2|batch
7|7|COMPLETED|0:0|10|20|30|00:00:10|cpu=2|00:05||n2|another job of this id
7.batch|7.batch|COMPLETED|0:0|20|20|30|00:00:10|cpu=2|00:05|800M|n2|batch
"""
    took = usage_of("tok.1", parse_account(again, extras=4))
    assert took == Usage(queue_seconds=130.0, elapsed_seconds=110.0, cpu_seconds=35.5, gpus=2, peak_memory_bytes=9 * 2**20, node="n2")
    goes_on = again.replace("7|7|COMPLETED|0:0|1110|1230|1240", "7|7|RUNNING|0:0|1110|1230|Unknown")
    assert usage_of("tok.1", parse_account(goes_on, extras=4)) is None


def test_the_core_fields_alone_tell_the_times() -> None:
    took = usage_of("tok.array_0", parse_account(ACCOUNT))
    assert took == Usage(queue_seconds=1.0, elapsed_seconds=30.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("00:00:05", 5), ("1-02:03:04", 93784), ("05:00", 300), ("00:01.250", 1), ("UNLIMITED", None), ("", None), ("5", None)],
)
def test_durations(text: str, expected: int | None) -> None:
    assert seconds(text) == expected


# ---- sbatch


@pytest.mark.parametrize(
    ("out", "verdict"),
    [
        ("43\n", SbatchVerdict(SbatchOutcome.ACCEPTED, "43")),
        ("6;beta\n", SbatchVerdict(SbatchOutcome.ACCEPTED, "6")),
        ("Welcome to login1, 12 users are here\n\n44\n", SbatchVerdict(SbatchOutcome.ACCEPTED, "44")),
        ("", SbatchVerdict(SbatchOutcome.AMBIGUOUS, "", "it ended with exit code 0 and no word")),
    ],
)
def test_an_accepted_job_has_an_id(out: str, verdict: SbatchVerdict) -> None:
    assert judge_sbatch(Answer(0, out, "")) == verdict


@pytest.mark.parametrize(
    ("err", "outcome"),
    [
        (TIMED_OUT, SbatchOutcome.AMBIGUOUS),
        ("", SbatchOutcome.AMBIGUOUS),
        ("sbatch: error: something that no SLURM has said before\n", SbatchOutcome.AMBIGUOUS),
        ("sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received\n", SbatchOutcome.AMBIGUOUS),
        (DOWN, SbatchOutcome.UNREACHABLE),
        ("sbatch: error: 'beta' can't be reached now, or it is an invalid entry for --cluster.\n", SbatchOutcome.UNREACHABLE),
        ("ssh: connect to host login1 port 22: Connection refused\n", SbatchOutcome.UNREACHABLE),
        ("ada@login1: Permission denied (publickey,gssapi-with-mic).\n", SbatchOutcome.UNREACHABLE),
        ("Host key verification failed.\n", SbatchOutcome.UNREACHABLE),
        (
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by 10.0.0.1 port 22\n",
            SbatchOutcome.UNREACHABLE,
        ),
        ("Connection closed by 10.0.0.1 port 22\n", SbatchOutcome.AMBIGUOUS),
        (f"{FAILED}Access/permission denied\n", SbatchOutcome.REFUSED),
        (f"sbatch: error: QOSMaxSubmitJobPerUserLimit\n{POLICY}", SbatchOutcome.LATER),
        (f"sbatch: error: AssocMaxSubmitJobLimit\n{POLICY}", SbatchOutcome.LATER),
        (f"sbatch: error: AssocGrpSubmitJobsLimit\n{POLICY}", SbatchOutcome.LATER),
        (POLICY, SbatchOutcome.LATER),
        (f"sbatch: error: AssocMaxWallDurationPerJobLimit\n{POLICY}", SbatchOutcome.REFUSED),
        ("sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified\n", SbatchOutcome.REFUSED),
        (f"sbatch: error: invalid partition specified: x\n{FAILED}Invalid partition name specified\n", SbatchOutcome.REFUSED),
        ("sbatch: error: Batch job submission failed: Invalid qos specification\n", SbatchOutcome.REFUSED),
        ("sbatch: error: Batch job submission failed: Invalid feature specification\n", SbatchOutcome.REFUSED),
        ("sbatch: error: Batch job submission failed: Invalid job array specification\n", SbatchOutcome.REFUSED),
        ("sbatch: error: Batch job submission failed: Requested node configuration is not available\n", SbatchOutcome.REFUSED),
        ("sbatch: error: Batch job submission failed: Job dependency problem\n", SbatchOutcome.REFUSED),
        ("sbatch: error: Invalid --time specification\n", SbatchOutcome.REFUSED),
        ("sbatch: error: Invalid generic resource (gres) specification\n", SbatchOutcome.REFUSED),
        ("sbatch: error: Unable to open file /nonexist\n", SbatchOutcome.REFUSED),
        ("sbatch: unrecognized option '--foo'\nTry \"sbatch --help\" for more information\n", SbatchOutcome.REFUSED),
        ("sbatch: error: This does not look like a batch script.  The first\n", SbatchOutcome.REFUSED),
    ],
)
def test_what_sbatch_says_when_it_fails(err: str, outcome: SbatchOutcome) -> None:
    assert judge_sbatch(Answer(1, "", err)).outcome is outcome


def test_an_sbatch_that_was_ended_may_have_been_heard() -> None:
    assert judge_sbatch(Answer(None, "", DOWN)).outcome is SbatchOutcome.AMBIGUOUS
    assert judge_sbatch(Answer(None, "", "")).words == "it did not answer in time"


def test_words_are_one_line_without_the_programs_name() -> None:
    assert Answer(1, "", f"sbatch: error: QOSMaxSubmitJobPerUserLimit\n{POLICY}{POLICY}").words.count(";") == 1
    assert Answer(1, "", "sbatch: error: Unable to open file x\n").words == "Unable to open file x"


# ---- states


def told(state: str, exit_code: str = "", *, printed: bool = True, **more: object) -> tuple[FailureClass | None, str]:
    found = ending(EndedJob(state, exit_code, **more), lambda user: f"user {user}", printed=printed)
    return found.failure, found.sentence


def test_each_end_has_a_class_and_a_sentence() -> None:
    assert told("COMPLETED", "0:0", elapsed=3661) == (None, "SLURM says that it completed after 01:01:01")
    assert told("FAILED", "3:0") == (None, "SLURM says that it failed with exit code 3")
    assert told("FAILED", "0:0", elapsed=4) == (None, "SLURM says that it failed after 00:00:04")  # its exit code is booked later
    assert told("FAILED", "0:15") == (None, "SLURM says that it failed by signal 15")
    assert told("TIMEOUT", limit="1-02:00:00") == (FailureClass.OUT_OF_TIME, "SLURM ended it at its time limit of 1-02:00:00")
    assert told("TIMEOUT", elapsed=62) == (FailureClass.OUT_OF_TIME, "SLURM ended it at its time limit after 00:01:02")
    assert told("CANCELLED", by=7, elapsed=5) == (FailureClass.CANCELLED, "it was cancelled by user 7 after 00:00:05")
    assert told("CANCELLED") == (FailureClass.CANCELLED, "it was cancelled")
    assert told("FAILED", "0:9")[0] is FailureClass.OUT_OF_MEMORY
    assert told("OUT_OF_MEMORY", "0:125")[0] is FailureClass.OUT_OF_MEMORY
    assert told("FAILED", "0:53", printed=False)[0] is FailureClass.ERROR
    assert told("FAILED", "0:53", printed=True)[0] is None
    assert {told(state)[0] for state in ("NODE_FAIL", "BOOT_FAIL")} == {FailureClass.NODE_FAILURE}
    assert told("PREEMPTED")[0] is FailureClass.PREEMPTED
    assert told("REVOKED")[0] is FailureClass.LOST


@pytest.mark.parametrize(
    ("state", "exit_code", "known"),
    [
        *(("COMPLETED", "0:0", 0), ("FAILED", "3:0", 3), ("FAILED", "0:0", None), ("FAILED", "0:15", None), ("FAILED", "", None)),
        *((state, "0:0", None) for state in ("TIMEOUT", "NODE_FAIL", "CANCELLED", "PREEMPTED", "BOOT_FAIL", "DEADLINE")),
        ("OUT_OF_MEMORY", "0:125", None),
    ],
)
def test_an_exit_code_is_only_what_the_script_ended_with(state: str, exit_code: str, known: int | None) -> None:
    assert _accounted(parse_account(f"7|7|{state}|{exit_code}|1|2|3|00:00:01|tok.1\n")[0]).exit_code == known


def test_no_state_is_both_alive_and_over() -> None:
    assert not ENDED & set(ALIVE)
    assert set(ALIVE.values()) == {JobState.QUEUED, JobState.RUNNING}


def test_why_a_job_waits() -> None:
    row = parse_queue(QUEUE, None)[3]
    begin = "it may not start yet; a job that was queued again waits for about two minutes"
    assert detail(row) == f"{begin}; SLURM expects it to start at 2026-11-24 00:51 UTC"
    down = detail(row._replace(reason="ReqNodeNotAvail, UnavailableNodes:n2", start=None))
    assert down == "a node that it needs is not available (ReqNodeNotAvail, UnavailableNodes:n2)"
    assert detail(row._replace(reason="QOSMaxJobsPerUserLimit", start=None)) == "a limit of the account is reached (QOSMaxJobsPerUserLimit)"
    assert detail(row._replace(reason="SomethingNew", start=None)) == "SomethingNew"
    assert detail(row._replace(state="REQUEUE_HOLD")) == "it was queued again and is held: scontrol release 51 lets it go"
    assert detail(row._replace(state="RUNNING")) == ""
    assert detail(row._replace(state="COMPLETING")) == "completing"


def test_accounting_says_more_of_an_end_than_the_queue() -> None:
    row, booked = parse_queue(QUEUE, None)[0], parse_account(ACCOUNT)[0]
    assert end_of(row, booked) == EndedJob("CANCELLED", "0:0", 0, "5:00", 0)
    assert end_of(row, None) == EndedJob("COMPLETED", limit="5:00")


# ---- anything else


WORDS = [
    "|",
    "\n",
    "N/A",
    "12",
    "43_0",
    "PENDING",
    "CANCELLED by 0",
    "1795477865",
    "CLUSTER: beta\n",
    HEADER,
    "²",
    "\x00",
    "\x1c",
    "-",
    ":",
]
JUMBLES = st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=5))).map("".join)
TEXTS = st.one_of(st.text(), JUMBLES, st.binary().map(lambda each: each.decode(errors="replace")))


@given(TEXTS, st.sampled_from([None, "beta"]))
def test_any_text_gives_jobs_or_a_parse_error(text: str, cluster: str | None) -> None:
    try:
        rows = parse_queue(text, cluster)
    except ParseError:
        return
    for row in rows:
        assert row.id.isascii()
        assert isinstance(detail(row), str)
        ending(end_of(row, None), str, printed=False)


@given(TEXTS, st.sampled_from([0, 4]))
def test_any_text_gives_accounts_or_a_parse_error(text: str, extras: int) -> None:
    try:
        rows = parse_account(text, extras)
    except ParseError:
        return
    for row in rows:
        assert len(row.extras) == extras
        ending(end_of(None, row), str, printed=True)
        usage_of(row.token, [row._replace(state="COMPLETED")])


@given(st.sampled_from([None, 0, 1, 255]), TEXTS, TEXTS)
def test_any_answer_of_sbatch_has_a_verdict(code: int | None, out: str, err: str) -> None:
    verdict = judge_sbatch(Answer(code, out, err))
    assert (verdict.outcome is SbatchOutcome.ACCEPTED) == bool(verdict.job_id)
    assert verdict.outcome is not SbatchOutcome.ACCEPTED or code == 0


@given(st.lists(st.tuples(st.integers(0, 10**8), st.sampled_from(sorted(ENDED | set(ALIVE))), st.text(alphabet="abc.|_-", min_size=1))))
def test_what_squeue_would_print_is_read_back(jobs: list[tuple[int, str, str]]) -> None:
    text = HEADER + "".join(f"{number}|{number}|N/A|{state}|1|N/A|5:00|None|{name}\n" for number, state, name in jobs)
    assert [(int(row.id), row.state, row.name) for row in parse_queue(text, None)] == jobs

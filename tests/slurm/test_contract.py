"""What ckgit relies on, of the fake and of the real SLURM: where one of them differs, the fake is wrong or SLURM has changed."""

import os
import re
import subprocess

import pytest

from tests.slurm.clusters import eventually

WAITS = "sleep 60"
ENDINGS = {  # commands: the job's state and exit code
    "exit 0": "COMPLETED 0:0",
    "false; echo bye": "COMPLETED 0:0",
    "exit 3": "FAILED 3:0",
    "exit 75": "FAILED 75:0",
    "kill -9 $$": "FAILED 0:9",
    "nonesuch": "FAILED 127:0",
}
REFUSALS = [  # options, exit code, words
    (
        "-p nosuch",
        1,
        "sbatch: error: invalid partition specified: nosuch\nsbatch: error: Batch job submission failed: Invalid partition name specified",
    ),
    ("-A nosuch", 1, "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified"),
    ("--qos=nosuch", 1, "sbatch: error: Batch job submission failed: Invalid qos specification"),
    ("-C nosuch", 1, "sbatch: error: Batch job submission failed: Invalid feature specification"),
    ("--gres=gpu:9", 1, "sbatch: error: Batch job submission failed: Requested node configuration is not available"),
    ("--gres=gpu:a100:1", 1, "sbatch: error: Batch job submission failed: Requested node configuration is not available"),
    ("--gpus=9", 1, "sbatch: error: Batch job submission failed: Requested node configuration is not available"),
    ("--gres=tpu:1", 1, "sbatch: error: Invalid generic resource (gres) specification"),
    (
        "--mem=999G",
        1,
        "sbatch: error: Memory specification can not be satisfied\nsbatch: error: Batch job submission failed: Requested node configuration is not available",
    ),
    ("--mem=banana", 255, "sbatch: error: Invalid --mem specification"),
    ("-w n9", 1, "sbatch: error: Batch job submission failed: Invalid node name specified"),
    ("--array=0-5000", 1, "sbatch: error: Batch job submission failed: Invalid job array specification"),
    ("-d banana", 1, "sbatch: error: Batch job submission failed: Job dependency problem"),
    ("-t banana", 255, "sbatch: error: Invalid --time specification"),
    ("--mail-type=banana", 255, "sbatch: error: Invalid --mail-type specification"),
    (
        "-M nosuch",
        1,
        "sbatch: error: No cluster 'nosuch' known by database.\nsbatch: error: 'nosuch' can't be reached now, or it is an invalid entry for --cluster.  Use 'sacctmgr list clusters' to see available clusters.",
    ),
]
HOLDS = {  # accepted, and never started: options, and the reason that squeue gives
    "--hold": "JobHeldUser",
    "--begin=now+1hour": "BeginTime",
    "-p short -t 10": "PartitionTimeLimit",
    "-N 3": "PartitionNodeLimit",
    "-c 64": "PartitionConfig",
}
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"


# ---- submission


def test_sbatch_answers_with_the_id_and_names_the_cluster_where_one_was_asked_for(slurm):
    script = slurm.folder / "job.sh"
    script.write_text("#!/bin/sh\n")
    assert re.fullmatch(r"\d+", slurm.ask("sbatch", "--parsable", script))
    assert re.fullmatch(r"\d+;alpha", slurm.ask("sbatch", "--parsable", "-M", "alpha", script))
    assert re.fullmatch(r"\d+;beta", slurm.ask("sbatch", "--parsable", "-M", "beta", script))
    assert re.fullmatch(r"Submitted batch job \d+", slurm.ask("sbatch", script))
    assert re.fullmatch(r"Submitted batch job \d+ on cluster beta", slurm.ask("sbatch", "-M", "beta", script))


@pytest.mark.parametrize(("options", "code", "words"), REFUSALS, ids=[options for options, _, _ in REFUSALS])
def test_sbatch_refuses_in_these_words(slurm, options, code, words):
    script = slurm.folder / "job.sh"
    script.write_text("#!/bin/sh\n")
    done = slurm.run("sbatch", "--parsable", *options.split(), script)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", words + "\n")


def test_sbatch_reads_the_script_before_it_asks_anyone(slurm):
    bad = slurm.folder / "bad.sh"
    assert slurm.run("sbatch", bad).stderr == f"sbatch: error: Unable to open file {bad}\n"
    bad.write_text("echo no interpreter\n")
    assert slurm.run("sbatch", bad).stderr.startswith("sbatch: error: This does not look like a batch script.  The first\n")
    bad.write_text("#!/bin/sh\r\n")
    assert slurm.run("sbatch", bad).stderr.startswith("sbatch: error: Batch script contains DOS line breaks (\\r\\n)\n")
    bad.write_text("#!/bin/sh\n#SBATCH --nosuch\n")
    done = slurm.run("sbatch", bad)
    assert done.returncode == 255
    assert done.stderr.endswith("sbatch: unrecognized option '--nosuch'\nTry \"sbatch --help\" for more information\n")


def test_options_in_the_script_end_where_its_commands_begin_and_yield_to_the_command_line(slurm):
    number = slurm.submit(
        "-J", "mine", "--hold", commands="#SBATCH --job-name=theirs --comment='a b'\n\n# a remark\n#SBATCH -t 3\ntrue\n#SBATCH -t 4"
    )
    assert slurm.ask("squeue", "-h", "-j", number, "-o", "%j|%k|%l") == "mine|a b|3:00"


def test_options_come_from_the_environment_too(slurm):
    number = slurm.submit("--hold", SBATCH_PARTITION="short", SBATCH_JOB_NAME="foreign")
    assert slurm.ask("squeue", "-h", "-j", number, "-o", "%P|%j") == "short|foreign"
    assert slurm.run("squeue", "-h", "-j", number, SQUEUE_FORMAT="%i:%T").stdout == f"{number}:PENDING\n"
    assert slurm.run("squeue", "-h", "-n", "foreign", "-o", "%i", SQUEUE_STATES="RUNNING").stdout == ""
    assert slurm.run("squeue", "-h", "-n", "foreign", "-o", "%V", SLURM_TIME_FORMAT="%Y").stdout.strip().isdigit()


def test_a_limit_of_the_qos_is_a_refusal_with_its_name(slurm):
    held = [slurm.submit("-q", "tight", "--hold") for _ in range(2)]
    done = slurm.run("sbatch", "-q", "tight", "--wrap", "true")
    assert done.returncode == 1
    assert done.stderr == (
        "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: "
        "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)\n"
    )
    slurm.ask("scancel", *held)


def test_a_refused_submission_can_leave_a_failed_job_of_its_name(slurm):
    name = f"refused-{os.urandom(4).hex()}"
    assert slurm.run("sbatch", "-J", name, "--gres=gpu:9", "--wrap", "true").returncode == 1
    row = slurm.ask("squeue", "-h", "-t", "all", "-n", name, "-o", "%i %T %r %V")
    assert re.fullmatch(rf"\d+ FAILED BadConstraints {MOMENT}", row)
    number = row.split()[0]
    expected = "FAILED|1:0|None assigned"  # its state is booked first, its exit code a moment later
    assert eventually(lambda: slurm.accounted(number, "State,ExitCode,NodeList"), expected.__eq__) == expected


@pytest.mark.parametrize("options", HOLDS)
def test_sbatch_accepts_what_never_starts(slurm, options):
    number = slurm.submit(*options.split())
    assert (
        eventually(lambda: slurm.ask("squeue", "-h", "-j", number, "-o", "%T %r"), f"PENDING {HOLDS[options]}".__eq__)
        == f"PENDING {HOLDS[options]}"
    )


def test_test_only_says_when_and_submits_nothing(slurm):
    name = f"only-{os.urandom(4).hex()}"
    done = slurm.run("sbatch", "--test-only", "-J", name, "--wrap", "true")
    assert (done.returncode, done.stdout) == (0, "")
    assert re.fullmatch(rf"sbatch: Job \d+ to start at {MOMENT} using 1 processors on nodes n\d in partition main\n", done.stderr)
    done = slurm.run("sbatch", "--test-only", "-p", "nosuch", "--wrap", "true")
    assert (done.returncode, done.stderr) == (
        1,
        "sbatch: error: invalid partition specified: nosuch\nallocation failure: Invalid partition name specified\n",
    )
    assert slurm.ask("squeue", "-h", "-t", "all", "-n", name, "-o", "%i") == ""


# ---- what a job finds


def environment_of(slurm, export, **environment):
    number = slurm.submit(f"--export={export}", "-o", "env-%j.txt", commands="env", **environment)
    slurm.wait(number, "COMPLETED")
    return dict(line.split("=", 1) for line in (slurm.folder / f"env-{number}.txt").read_text().splitlines() if "=" in line)


@pytest.mark.parametrize("export", ["NIL", "NONE", "NIL,GIVEN=a b", "ALL", "TOKEN"])
def test_export_says_what_of_the_environment_a_job_gets(slurm, export):
    found = environment_of(slurm, export, TOKEN="secret", OTHER="1")  # noqa: S106 - nobody's
    assert ("TOKEN" in found) == (export in {"ALL", "TOKEN"})
    assert ("OTHER" in found) == (export == "ALL")
    assert found.get("GIVEN") == ("a b" if "GIVEN" in export else None)
    assert {"SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_JOB_PARTITION", "SLURM_SUBMIT_DIR", "SLURMD_NODENAME"} <= set(found)
    assert "SLURM_RESTART_COUNT" not in found


def test_gpus_are_given_by_number(slurm):
    for number, options in enumerate(("--gres=gpu:2", "--gpus=2", "--gpus-per-node=2")):
        job = slurm.submit(options, "-o", f"gpu-{number}", commands="echo $CUDA_VISIBLE_DEVICES")
        slurm.wait(job, "COMPLETED")
        assert (slurm.folder / f"gpu-{number}").read_text() == "0,1\n"


def test_the_log_is_named_by_pattern_and_arguments_arrive_whole(slurm):
    number = slurm.submit("-J", "named", "-o", "log-%x-%j-%A.txt", commands='printf "<%s>" "$@"', arguments=["a b", "$(x)"])
    slurm.wait(number, "COMPLETED")
    assert (slurm.folder / f"log-named-{number}-{number}.txt").read_text() == "<a b><$(x)>"


def test_a_log_that_cannot_be_written_fails_the_job_without_a_word(slurm):
    (slurm.folder / "file").touch()
    number = slurm.submit("-o", slurm.folder / "file" / "log")  # a folder that is missing, 23.11 makes
    slurm.wait(number, "FAILED")
    assert eventually(lambda: slurm.accounted(number, "State,ExitCode"), "FAILED|0:53".__eq__) == "FAILED|0:53"


# ---- endings


def test_each_ending_has_its_state_and_exit_code(slurm):
    numbers = {commands: slurm.submit("--export=NIL", commands=commands) for commands in ENDINGS}
    for commands, expected in ENDINGS.items():
        number = numbers[commands]
        slurm.wait(number, expected.split()[0])
        row = eventually(lambda number=number: slurm.accounted(number, "State,ExitCode").replace("|", " "), expected.__eq__)
        assert row == expected, commands


def test_accounting_has_these_fields_and_refuses_others(slurm):
    number = slurm.submit("-J", "fields.1", commands="sleep 1")
    slurm.wait(number, "COMPLETED")
    fields = "JobIDRaw,JobID,JobName,State,ExitCode,Submit,Start,End,Elapsed"
    row = eventually(lambda: slurm.accounted(number, fields), lambda row: "|fields.1|COMPLETED|" in row)  # its name comes late
    assert re.fullmatch(rf"{number}\|{number}\|fields.1\|COMPLETED\|0:0\|{MOMENT}\|{MOMENT}\|{MOMENT}\|00:00:\d\d", row)
    done = slurm.run("sacct", "-X", "-n", "-P", "-j", number, "-o", "JobID,Nosuch")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", 'sacct: error: Invalid field requested: "Nosuch"\n')
    batch = slurm.ask("sacct", "-n", "-P", "-j", number, "-o", "JobID,JobName,State,MaxRSS").splitlines()[1]
    assert re.fullmatch(rf"{number}.batch\|batch\|COMPLETED\|\d+K", batch)


def test_a_cancelled_job_says_by_whom(slurm):
    running, pending = slurm.submit(commands=WAITS), slurm.submit("--hold")
    slurm.wait(running, "RUNNING")
    assert slurm.ask("scancel", running, pending) == ""
    for number in (running, pending):
        slurm.wait(number, "CANCELLED")
        expected = f"CANCELLED by {os.getuid()}|0:0"
        assert eventually(lambda number=number: slurm.accounted(number, "State,ExitCode"), expected.__eq__) == expected


def test_a_job_has_time_for_last_words(slurm):
    number = slurm.submit("-o", "last.txt", commands="trap 'echo last words; exit 0' TERM\necho ready\nwhile true; do sleep 0.1; done")
    log = slurm.folder / "last.txt"
    eventually(lambda: log.exists() and log.read_text(), lambda text: text and "ready" in text)
    slurm.ask("scancel", number)
    slurm.wait(number, "CANCELLED")
    text = eventually(log.read_text, lambda text: "last words" in text)
    assert "last words\n" in text
    assert re.search(rf"error: \*\*\* JOB {number} ON n\d CANCELLED AT {MOMENT} \*\*\*", text)


def test_a_job_is_warned_before_its_time_is_up(slurm):
    when = ["-t", "2", "--signal=B:USR1@60"] if slurm.is_real else ["-t", "1", "--signal=B:USR1@54"]  # the real one looks each half minute
    number = slurm.submit(*when, "-o", "warned.txt", commands="trap 'echo warned; exit 0' USR1\nwhile true; do sleep 0.1; done")
    assert eventually(lambda: slurm.state(number), "COMPLETED".__eq__, 100) == "COMPLETED"
    assert (slurm.folder / "warned.txt").read_text() == "warned\n"


def test_a_job_over_its_time_is_a_timeout(slurm):
    number = slurm.submit("-o", "time.txt", commands=WAITS)
    slurm.wait(number, "RUNNING")
    slurm.ask("scontrol", "update", f"JobId={number}", "EndTime=now")
    slurm.wait(number, "TIMEOUT")
    assert eventually(lambda: slurm.accounted(number, "State,ExitCode"), "TIMEOUT|0:0".__eq__) == "TIMEOUT|0:0"
    assert "DUE TO TIME LIMIT ***" in (slurm.folder / "time.txt").read_text()


def test_a_job_comes_back_under_its_id_when_it_is_requeued(slurm):
    number = slurm.submit("--open-mode=append", "-o", "again.txt", commands=f"echo count=${{SLURM_RESTART_COUNT-none}}\n{WAITS}")
    slurm.wait(number, "RUNNING")
    log = slurm.folder / "again.txt"
    eventually(lambda: log.exists() and log.read_text(), bool)
    submitted = slurm.ask("squeue", "-h", "-j", number, "-o", "%V")
    slurm.ask("scontrol", "requeue", number)
    slurm.start_now(number)
    slurm.wait(number, "RUNNING")
    assert slurm.ask("squeue", "-h", "-j", number, "-o", "%V") >= submitted  # its time of submission moves
    eventually(log.read_text, lambda text: "count=1" in text)
    assert re.fullmatch(r"count=none\n.*DUE TO JOB REQUEUE \*\*\*\ncount=1\n", log.read_text())
    states = eventually(lambda: slurm.accounted(number, "State", "-D").split(), ["REQUEUED", "RUNNING"].__eq__)
    assert states == ["REQUEUED", "RUNNING"]


@pytest.mark.parametrize("options", ["--requeue", "--no-requeue"])
def test_a_lost_node_ends_a_job_or_brings_it_back(slurm, options):
    number = slurm.submit(options, commands=WAITS)
    slurm.wait(number, "RUNNING")
    slurm.lose_node(number)
    if options == "--requeue":
        slurm.wait(number, "PENDING")
        states = eventually(lambda: slurm.accounted(number, "State", "-D").split(), lambda states: len(states) == 2)
        assert states in (["NODE_FAIL", "PENDING"], ["NODE_FAIL", "RUNNING"])  # on a slow machine it runs again by now
    else:
        slurm.wait(number, "NODE_FAIL")
        assert eventually(lambda: slurm.accounted(number, "State,ExitCode"), "NODE_FAIL|0:0".__eq__) == "NODE_FAIL|0:0"


# ---- asking


def test_squeue_shows_a_new_job_at_once_by_id_and_by_name(slurm):
    name = f"exp.run-1.{os.urandom(4).hex()}"
    number = slurm.submit("-J", name, "--hold", "--comment", "a remark")
    row = slurm.ask("squeue", "-h", "-n", name, "-o", "%i|%F|%K|%j|%T|%r|%S|%e|%l|%N|%P|%a|%q|%k|%E|%Z")
    assert row == f"{number}|{number}|N/A|{name}|PENDING|JobHeldUser|N/A|N/A|5:00||main|lab|normal|a remark|(null)|{slurm.folder}"
    assert slurm.ask("squeue", "-h", "-j", number, "-o", "%j") == name
    assert slurm.ask("squeue", "-h", "-n", "nobody.has.this", "-t", "all", "-o", "%i") == ""


def test_what_nobody_knows_is_an_error_for_one_id_alone(slurm):
    number = slurm.submit("--hold")
    done = slurm.run("squeue", "-h", "-j", "999999", "-o", "%i")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "slurm_load_jobs error: Invalid job id specified\n")
    assert slurm.ask("squeue", "-h", "-j", f"{number},999999", "-o", "%i") == number
    assert slurm.ask("squeue", "-h", "-j", "999998,999999", "-o", "%i") == ""
    done = slurm.run("scontrol", "show", "job", "999999")
    assert (done.returncode, done.stderr) == (1, "slurm_load_jobs error: Invalid job id specified\n")
    assert slurm.ask("sacct", "-X", "-n", "-P", "-j", "999999", "-o", "State") == ""
    assert slurm.ask("scancel", "999999") == ""
    assert slurm.ask("scancel", "--name", "nobody.has.this") == ""


def test_scontrol_shows_a_job_in_words_and_on_one_line(slurm):
    number = slurm.submit("-J", "shown", "--hold")
    text = slurm.ask("scontrol", "show", "job", number)
    fields = dict(word.split("=", 1) for word in text.split() if "=" in word)
    expected = {
        "JobId": number,
        "JobName": "shown",
        "JobState": "PENDING",
        "Reason": "JobHeldUser",
        "Restarts": "0",
        "Requeue": "1",
        "WorkDir": str(slurm.folder),
    }
    assert {name: fields[name] for name in expected} == expected
    assert len(slurm.ask("scontrol", "-o", "show", "job", number).splitlines()) == 1


def test_one_answer_of_squeue_covers_two_clusters_and_names_them_in_its_headers_only(slurm):
    name = f"two-{os.urandom(4).hex()}"
    numbers = [slurm.submit("-M", cluster, "-J", name, "--hold") for cluster in ("alpha", "beta")]
    assert slurm.ask("squeue", "-h", "-M", "alpha,beta", "-n", name, "-o", "%i").split() == numbers
    text = slurm.ask("squeue", "-M", "alpha,beta", "-n", name, "-o", "%i")
    assert text.split("\n") == ["CLUSTER: alpha", "JOBID", numbers[0], "", "CLUSTER: beta", "JOBID", numbers[1]]
    slurm.ask("scancel", "-M", "beta", numbers[1])


def test_squeue_leaves_out_a_cluster_that_does_not_answer_without_a_word(slurm):
    number = slurm.submit("-J", "left-over", "--hold")
    with slurm.second_cluster_down():
        done = slurm.run("squeue", "-h", "-M", "alpha,beta", "-j", number, "-o", "%i")
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{number}\n", "")
        alone = slurm.run("squeue", "-h", "-M", "beta", "-o", "%i")
        assert (alone.returncode, alone.stdout) == (1, "")
        assert alone.stderr.startswith("squeue: error: 'beta' can't be reached now, or it is an invalid entry for --cluster.")
        assert slurm.run("sbatch", "-M", "beta", "--wrap", "true").stderr.startswith("sbatch: error: 'beta' can't be reached now")


# ---- waiting for others


def test_a_singleton_waits_for_all_of_its_name(slurm):
    name = f"one-{os.urandom(4).hex()}"
    first = slurm.submit("-J", name, commands=WAITS)
    second = slurm.submit("-J", name, "-d", "singleton")
    slurm.wait(first, "RUNNING")
    assert slurm.ask("squeue", "-h", "-j", second, "-o", "%T %r %E") == "PENDING Dependency singleton(unfulfilled)"
    slurm.ask("scancel", first)
    slurm.wait(second, "COMPLETED")


def test_a_job_waits_for_the_good_or_for_any_end_of_another(slurm):
    first = slurm.submit("--hold", commands="exit 3")
    good, end = slurm.submit("-d", f"afterok:{first}"), slurm.submit("-d", f"afterany:{first}")
    never = slurm.submit("-d", f"afterok:{first}", "--kill-on-invalid-dep=yes")
    assert slurm.ask("squeue", "-h", "-j", good, "-o", "%r %E") == f"Dependency afterok:{first}(unfulfilled)"
    slurm.ask("scontrol", "release", first)
    slurm.wait(first, "FAILED")
    slurm.wait(end, "COMPLETED")
    slurm.wait(never, "CANCELLED")
    reason = f"PENDING DependencyNeverSatisfied afterok:{first}(failed)"
    assert eventually(lambda: slurm.ask("squeue", "-h", "-j", good, "-o", "%T %r %E"), reason.__eq__) == reason


def test_one_of_several_suffices_where_a_question_mark_stands(slurm):
    first, second = slurm.submit("--hold"), slurm.submit("--hold")
    either = slurm.submit("-d", f"afterany:{first}?afterany:{second}")
    both = slurm.submit("-d", f"afterany:{first},afterany:{second}")
    assert slurm.ask("squeue", "-h", "-j", either, "-o", "%E") == f"afterany:{first}(unfulfilled)?afterany:{second}(unfulfilled)"
    slurm.ask("scontrol", "release", second)
    slurm.wait(either, "COMPLETED")
    assert slurm.ask("squeue", "-h", "-j", both, "-o", "%T %E") == f"PENDING afterany:{first}(unfulfilled)"


def test_a_dependency_on_a_job_that_nobody_knows_holds_nothing_up_or_is_refused(slurm):
    script = slurm.folder / "job.sh"
    script.write_text("#!/bin/sh\n")
    done = slurm.run("sbatch", "--parsable", "-d", "afterok:999999", script)
    if done.returncode == 0:  # as 22.05 does
        slurm.wait(done.stdout.strip(), "COMPLETED")
    else:  # as 23.11 does
        assert (done.returncode, done.stderr) == (1, "sbatch: error: Batch job submission failed: Job dependency problem\n")


# ---- arrays


def test_tasks_of_an_array_are_named_by_array_and_number(slurm):
    array = slurm.submit("-J", "tasks", "--array=1,3-5%2", commands="echo $SLURM_ARRAY_JOB_ID $SLURM_ARRAY_TASK_ID\nsleep 2")
    rows = eventually(lambda: slurm.ask("squeue", "-h", "-j", array, "-o", "%i|%F_%K|%j|%T|%r").splitlines(), lambda rows: len(rows) == 3)
    assert rows[0] == f"{array}_[4-5%2]|{array}_4-5%2|tasks|PENDING|JobArrayTaskLimit"
    assert sorted(rows[1:]) == [f"{array}_{task}|{array}_{task}|tasks|RUNNING|None" for task in (1, 3)]
    each = slurm.ask("squeue", "-h", "-r", "-j", array, "-o", "%i").split()
    assert sorted(each) == [f"{array}_{task}" for task in (1, 3, 4, 5)]
    eventually(lambda: slurm.ask("squeue", "-h", "-j", array, "-o", "%i"), "".__eq__)
    expected = [f"{array}_{task}|tasks|COMPLETED" for task in (1, 3, 4, 5)]
    rows = eventually(lambda: sorted(slurm.accounted(array, "JobID,JobName,State").splitlines()), expected.__eq__)
    assert rows == expected
    raw = dict(row.split("|") for row in slurm.accounted(array, "JobID,JobIDRaw").splitlines())
    assert raw[f"{array}_5"] == array  # the last to start takes the number of the array
    assert (slurm.folder / f"slurm-{array}_3.out").read_text() == f"{array} 3\n"


def test_tasks_of_an_array_are_cancelled_one_by_one(slurm):
    array = slurm.submit("--array=0-3", "--hold")
    slurm.ask("scancel", f"{array}_1")
    slurm.ask("scancel", f"{array}_[2-3]")
    assert slurm.ask("squeue", "-h", "-t", "all", "-j", array, "-o", "%i|%T").splitlines()[0] in {
        f"{array}_[0]|PENDING",
        f"{array}_0|PENDING",
    }
    assert slurm.ask("squeue", "-h", "-r", "-t", "PENDING", "-j", array, "-o", "%i") == f"{array}_0"
    slurm.ask("scancel", array)


def test_a_name_and_an_id_name_a_job_that_has_both(slurm):
    job, array = slurm.submit("-J", "mine", "--hold"), slurm.submit("--array=0-2", "--hold")
    slurm.run("scancel", "--name=other", job)
    assert slurm.state(job) == "PENDING"
    slurm.ask("scancel", "--name=mine", job)
    slurm.ask("scancel", f"{array}_1")
    slurm.wait(job, "CANCELLED")
    left = eventually(lambda: slurm.ask("squeue", "-h", "-r", "-j", array, "-o", "%i").split(), [f"{array}_0", f"{array}_2"].__eq__)
    assert left == [f"{array}_0", f"{array}_2"]
    slurm.ask("scancel", array)


def test_an_array_that_is_cancelled_before_it_starts_is_one_row(slurm):
    array = slurm.submit("--array=0-3", "--hold")
    slurm.ask("scancel", array)
    assert slurm.ask("squeue", "-h", "-t", "all", "-j", array, "-o", "%i|%T") == f"{array}_[0-3]|CANCELLED"
    expected = f"{array}_[0-3]|{array}|CANCELLED by {os.getuid()}"
    assert eventually(lambda: slurm.accounted(array, "JobID,JobIDRaw,State"), expected.__eq__) == expected


# ---- daemons


def test_without_a_controller_nothing_is_accepted_and_accounting_goes_on(slurm):
    number, name = slurm.submit(), f"down-{os.urandom(4).hex()}"
    slurm.wait(number, "COMPLETED")
    eventually(lambda: slurm.accounted(number), "COMPLETED".__eq__)
    reason = "Unable to contact slurm controller (connect failure)\n"
    with slurm.controller("down"):
        done = at_once(slurm, ["sbatch", "-J", name, "--wrap", "true"], ["squeue", "-h"], ["scancel", number], ["sinfo", "-h", "-o", "%P"])
        assert done[0] == (1, "", f"sbatch: error: Batch job submission failed: {reason}")
        assert done[1] == (1, "", f"slurm_load_jobs error: {reason}")
        assert done[2][0] == 8
        assert done[3] == (1, "", f"slurm_load_partitions: {reason}")
        assert slurm.accounted(number) == "COMPLETED"
    assert slurm.ask("squeue", "-h", "-t", "all", "-n", name, "-o", "%i") == ""


def test_a_frozen_controller_accepts_what_sbatch_gave_up_on(slurm):
    name = f"frozen-{os.urandom(4).hex()}"
    with slurm.controller("frozen"):
        done = at_once(slurm, ["sbatch", "--parsable", "-J", name, "--wrap", "true"], ["squeue", "-h"])
        reasons = "(Socket timed out on send/recv operation|Unexpected message received)"  # of 22.05 and of 23.11
        assert [code for code, _, _ in done] == [1, 1]
        assert re.fullmatch(f"sbatch: error: Batch job submission failed: {reasons}\n", done[0][2])
        assert re.fullmatch(f"slurm_load_jobs error: {reasons}\n", done[1][2])
    assert eventually(lambda: slurm.ask("squeue", "-h", "-t", "all", "-n", name, "-o", "%T"), "COMPLETED".__eq__) == "COMPLETED"


def at_once(slurm, *commands):
    """They wait long: side by side."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(commands)) as pool:
        done: list[subprocess.CompletedProcess] = list(pool.map(lambda command: slurm.run(*command), commands))
    return [(each.returncode, each.stdout, each.stderr) for each in done]


def test_without_accounting_jobs_go_on_and_sacct_and_every_cluster_option_fail(slurm):
    with slurm.accounting_down():
        number = slurm.submit()
        slurm.wait(number, "COMPLETED")
        done = slurm.run("sacct", "-X", "-n", "-P", "-j", number, "-o", "State")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.endswith("sacct: error: Problem talking to the database: Connection refused\n")
        done = slurm.run("squeue", "-h", "-M", "alpha", "-o", "%i")
        assert (done.returncode, done.stdout) == (1, "")
        assert "There is a problem talking to the database: Connection refused." in done.stderr
    assert eventually(lambda: slurm.accounted(number), "COMPLETED".__eq__) == "COMPLETED"

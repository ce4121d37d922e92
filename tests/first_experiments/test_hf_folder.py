"""A folder that `save_to_disk` of Hugging Face `datasets` wrote, outside of the lab: multiple choice, with probabilities."""

import hashlib
import math

import datasets
import pytest

pytestmark = pytest.mark.slow
FRUITS, TOOLS = ("apple", "grape", "lemon", "peach"), ("knife", "spoon", "brush", "drill")


def rows(count):
    pairs = [(FRUITS[n % 4], TOOLS[n % 3]) for n in range(count)]
    choices = [list(reversed(pair) if n % 2 else pair) for n, pair in enumerate(pairs)]
    return {"question": ["fruit" for _ in pairs], "choices": choices, "answerKey": ["AB"[n % 2] for n in range(count)]}


def test_from_a_saved_folder_with_choices_to_a_report(first_lab):
    saved = first_lab.folder.parent / "store/quiz"
    splits = {"train": datasets.Dataset.from_dict(rows(24)), "test": datasets.Dataset.from_dict(rows(6))}
    datasets.DatasetDict(splits).save_to_disk(saved)
    config = first_lab.folder / "ckgit.toml"
    config.write_text(config.read_text().replace("[clusters.local]", f'[clusters.local]\ndata_root = "{saved.parent}"'))
    first_lab.ckgit("task", "new", "quiz", "--template", "multiple-choice", "--label", "A", "--label", "B")
    first_lab.commit()
    names = sorted(path.relative_to(saved).as_posix() for path in saved.rglob("*") if path.is_file())
    lines = "".join(f"{hashlib.sha256((saved / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    digest = hashlib.sha256(lines.encode()).hexdigest()
    how = r'input: "{question}? A {choices[0]} B {choices[1]}", output: "{answerKey}"'
    task = {"task": "{name: quiz}", "controls": ", epochs: 4"}
    assert f"write sha256: {digest}" in first_lab.design("quiz", f"{{path: quiz, {how}}}", ends=3, **task)
    first_lab.design("quiz", f"{{path: quiz, {how}, sha256: {digest}}}", **task)

    results = first_lab.finish("quiz")

    samples = first_lab.samples("quiz")
    assert [(sample.input, sample.target) for sample in samples[:3]] == [
        ("fruit? A apple B knife", "A"),
        ("fruit? A spoon B grape", "B"),
        ("fruit? A lemon B brush", "A"),
    ]
    told = [(sample.scores["label"].metadata["probabilities"], sample.target) for sample in samples]
    known = [(found, target) for found, target in told if found]
    assert known
    assert all(math.isclose(sum(found.values()), 1) for found, _ in known)
    metrics = {each["name"]: each["value"] for each in results["runs"][0]["cells"][0]["metrics"]}
    assert metrics["told"] == pytest.approx(len(known) / 6)
    assert metrics["brier"] == pytest.approx(sum((found["A"] - (target == "A")) ** 2 for found, target in known) / len(known))
    assert b"| brier |" in first_lab.read("quiz", "analysis/report.md")

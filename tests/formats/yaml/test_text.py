import math

import yaml
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from ckgit.formats.yaml.document import read_yaml
from ckgit.formats.yaml.text import comment, scalar

# A lone surrogate is no text; PyYAML refuses some other characters even where they are written as escapes.
text = st.text(st.characters(exclude_categories=["Cs"]))
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**15), 10**15),
    st.floats(allow_nan=False, allow_infinity=False),
    text,
    st.lists(text, max_size=3),
)


@given(values)
def test_yaml_1_1_reads_what_was_meant(value):
    assert yaml.safe_load(f"key: {scalar(value)}") == {"key": value}


@given(st.one_of(st.booleans(), st.integers(-(10**15), 10**15), st.floats(allow_nan=False, allow_infinity=False), text))
def test_yaml_1_2_reads_the_same(value):
    document = read_yaml(f"key: {scalar(value)}\n")
    assert document.problems == []
    assert document.value == {"key": value}
    assert type(document.value["key"]) is type(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_torchtunes_own_reader_takes_a_float_for_a_float(value):
    read = OmegaConf.create(f"lr: {scalar(value)}").lr
    assert isinstance(read, float)
    assert math.isclose(read, value, rel_tol=0, abs_tol=0)


def test_small_numbers_carry_a_point():
    assert [scalar(each) for each in (1e-5, 3e-4, 6.05e-06, 0.0, 16.0, 1e20)] == ["1.0e-05", "0.0003", "6.05e-06", "0.0", "16.0", "1.0e+20"]


@given(text)
def test_a_comment_stays_a_comment(content):
    assert yaml.safe_load(f"# {comment(content)}\nkey: 1") == {"key": 1}

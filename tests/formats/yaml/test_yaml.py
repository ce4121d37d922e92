"""The strict reader and the writer of YAML, and that they agree with each other and with YAML 1.1's readers."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ckgit.formats.yaml.document import MAX_DEPTH, read_yaml
from ckgit.formats.yaml.edit import PathError, ValueChange, edit_yaml
from ckgit.formats.yaml.scalars import AmbiguousError, plain
from ckgit.formats.yaml.text import block, write_yaml

yaml_1_1 = pytest.importorskip("yaml")  # PyYAML comes with ckgit[run]

texts = st.text(st.characters(codec="utf-8"), max_size=40)
scalars = st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12)


def messages(text):
    return [problem.at("f") for problem in read_yaml(text).problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("1E5", 1e5),
        ("-2.5e+3", -2500.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("true", True),
        ("False", False),
        ("null", None),
        ("2026-11-23", "2026-11-23"),
        ("1-12:00:00", "1-12:00:00"),
        ("0.1.2", "0.1.2"),
        ("16G", "16G"),
        ("not at all", "not at all"),
    ],
)
def test_a_plain_value_means_one_thing(text, value):
    assert plain(text) == value
    assert type(plain(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("no", 'write false, or quote it as "no"'),
        ("Yes", "write true"),
        ("ON", "write true"),
        ("off", "write false"),
        ("y", "write true"),
        ("N", "write false"),
        ("~", "write null"),
        ("Null", "write null"),
        ("", "has no value"),
        ("12:30:00", 'quote it as "12:30:00"'),
        ("00:30:00", "base 60"),
        ("1:30", "base 60"),
        ("190:20:30.15", "base 60"),
        ("010", "write it as 10"),
        ("08", "write it as 8"),
        ("-007", "write it as -7"),
        ("00.5", "write it as 0.5"),
        ("1_000", "write it as 1000"),
        ("1_000.5", "write it as 1000.5"),
        ("0x10", "write it as 16"),
        ("0o17", "write it as 15"),
        ("0b11", "write it as 3"),
        (".inf", "not a finite number"),
        ("-.INF", "not a finite number"),
        (".nan", "not a finite number"),
        ("1e999", "too large"),
        ("9" * 30, "at most 18 digits"),
        ("0" * 5000, "different number"),
        ("2001-12-14T21:59:43", "quote it"),
        ("=", "special meaning"),
    ],
)
def test_an_ambiguous_value_is_refused_with_the_way_to_write_it(text, advice):
    with pytest.raises(AmbiguousError) as caught:
        plain(text)
    assert advice in str(caught.value)


@given(st.from_regex(r"[-+0-9.eExobyYnNtTfFsulnaI:_~=]{1,8}", fullmatch=True))
@example("1e-5")
def test_what_is_accepted_is_the_same_for_a_reader_of_yaml_1_1(text):
    try:
        ours = plain(text)
    except AmbiguousError:
        return
    try:
        theirs = yaml_1_1.safe_load(f"a: {text}")["a"]
    except (yaml_1_1.YAMLError, ValueError):
        return  # the text is no single value there
    if isinstance(theirs, dict | list):
        return  # nor here
    if isinstance(ours, float) and isinstance(theirs, str):
        return  # 1e-5 without a dot: PyYAML alone reads text, so generated files write 1.0e-05
    assert ours == theirs
    assert isinstance(ours, bool) == isinstance(theirs, bool)


@given(st.dictionaries(texts, values, max_size=5))
@example({"a": ["no", "12:30:00", "010", "~", ""], "no": {"y": None}, "s": "\u2028\x85\x07 \t"})
@example({"k" * 200: 1})
@example({"a": ["?0", "? x", ":x", "-x", "?"], "?b": "-y", ":": "?"})
@example({"": "\n\n", "a: b": "- x", "#": "# y", "?": "? z", "---": "---"})
def test_what_is_written_reads_back_the_same(value):
    document = read_yaml(write_yaml({"top": value}))
    assert document.problems == []
    assert document.value == {"top": value}


SPECIAL = (
    *("a, b", "x]", "{x}", "a: b", "a:", "a:b", "q?", "a #b", "- a", "...", "---"),
    *("%x", "@x", "`x", "'x", "x'", "a ", " a", "=", "<<", "no"),
)


@pytest.mark.parametrize("text", [*SPECIAL, "\\", 'a"b', "a\nb", "\u00e9", "", "null", "07", "1_0"])
def test_text_that_a_reader_could_take_for_something_else_is_quoted(text):
    value = {"one": text, "list": [text, "x"], "nested": [{text: [text]}, [[text]], {}], text: {"x": []}}
    assert read_yaml(write_yaml(value)).value == value
    for written in (write_yaml(value), "\n".join(block(value))):
        assert yaml_1_1.safe_load(written) == value


def test_text_that_every_reader_takes_for_text_has_no_quotes():
    assert write_yaml({"a": ["rank8", "What is it", {"b": 1e-5}], "c d": "x/y.json"}) == (
        "a:\n  - rank8\n  - What is it\n  - b: 1e-5\nc d: x/y.json\n"
    )


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(texts, values, min_size=1, max_size=4), st.data())
def test_an_edit_changes_its_place_and_nothing_else(value, data):
    key = data.draw(st.sampled_from(sorted(value)))
    if not key or key.startswith(".") or any(f"{key}.".startswith(f"{other}.") for other in value if other != key):
        return  # such a key has no path of its own
    edited = read_yaml(edit_yaml(write_yaml({"top": value}), [ValueChange(f"top.{key}", ["new", 1e-5])]))
    assert edited.problems == []
    assert edited.value == {"top": {**value, key: ["new", 1e-5]}}


def test_an_edit_keeps_comments_order_and_the_form_of_numbers():
    text = "# top\nb: 1e-5  # small\na: 'quoted'\nlist:\n  - name: x  # first\n    v: 1.50\n\n# end\nz: \"no\"\n"
    assert (
        edit_yaml(text, [ValueChange("list.x.v", 2), ValueChange("new.deep", "yes")])
        == text.replace("v: 1.50", "v: 2") + 'new:\n  deep: "yes"\n'
    )


def test_an_edit_leaves_lines_that_it_does_not_touch_as_they_are():
    text = "a:   {b: 1,  c: [{name: x}]}   # kept\nd:\n- {name: cap}\n-   [1,   2]\ne: 1\n"
    assert edit_yaml(text, [ValueChange("first", 0, first=True), ValueChange("e", 2)]) == f"first: 0\n{text.replace('e: 1', 'e: 2')}"
    assert "[{name: x}]" in edit_yaml(text, [ValueChange("a.b", 3)])


def test_null_takes_a_key_away_and_leaves_the_comments_around_it():
    text = "a:\n  b: 1  # one\n  # about c\n  c:   2\nd: 3\n"
    assert edit_yaml(text, [ValueChange("a.b", None)]) == "a:\n  # about c\n  c:   2\nd: 3\n"
    assert read_yaml(edit_yaml(text, [ValueChange("a.b", None), ValueChange("a.c", None)])).value == {"a": {}, "d": 3}


def test_an_edit_whose_lines_do_not_go_with_the_others_is_written_whole():
    edited = edit_yaml("d:\n- name: cap\n- name: z\n", [ValueChange("d.2", {"name": "w"})])
    assert read_yaml(edited).value == {"d": [{"name": "cap"}, {"name": "z"}, {"name": "w"}]}


def test_lists_are_edited_by_index_by_name_and_at_their_end():
    text = "runs:\n  - name: a.b\n  - name: c\n"
    edited = read_yaml(
        edit_yaml(text, [ValueChange("runs.a.b.type", "control"), ValueChange("runs.1.x", 1), ValueChange("runs.2", {"name": "d"})])
    )
    assert edited.value == {"runs": [{"name": "a.b", "type": "control"}, {"name": "c", "x": 1}, {"name": "d"}]}


@pytest.mark.parametrize(("path", "words"), [("a.b", "leads into"), ("runs.x.y", "it has c, 0, 1"), ("runs.7", "there is no '7'")])
def test_a_path_that_leads_nowhere_is_explained(path, words):
    with pytest.raises(PathError) as caught:
        edit_yaml("a: text\nruns:\n  - name: c\n", [ValueChange(path, 1)])
    assert words in str(caught.value)


def test_every_problem_is_reported_with_its_place():
    text = "a: no\nb: 010\na: 3\nc: !!python/name:os.system z\nd: &x 3\ne: *x\n<<: {f: 1}\ng:\n1: x\nh:\n  -\n  - ok\n"
    assert messages(text) == [
        'f:1:4: no is true or false to some readers and text to others: write false, or quote it as "no"',
        'f:2:4: 010 is a different number to different readers: write it as 10, or quote it as "010"',
        "f:3:1: the key a is here twice (first on line 1)",
        "f:4:4: the tag tag:yaml.org,2002:python/name:os.system is not supported; remove it",
        "f:5:4: the anchor &x is not supported; write values out where they are used",
        "f:6:4: the alias *x is not supported; write the value out",
        "f:7:1: merge keys (<<) are not supported; write the keys out",
        "f:8:1: has no value; write one, or remove the key",
        'f:9:1: a key must be text; quote it as "1"',
        "f:11:3: has no value; write one, or remove the key",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n\tb: 3", "f:2:1: a tab in the indentation; YAML is indented with spaces"),
        ("a: [1", "f:1:4: not YAML"),
        ("a: 1\n---\nb: 2\n", "f:2:1: a second document begins here"),
        ("%YAML 1.1\n---\na: 1\n", "f:2:1: directives"),
        ("a: x\u2028y", "f:1:5: the character '\\u2028' is not allowed"),
        ("a: \x00", "f:1:4: the character '\\x00' is not allowed"),
        ("? a\n: 1\n", "f:1:3: write the key without the question mark before it"),
        ("[a]: 1\n", "f:1:1: a key must be text"),
        ("[" * (MAX_DEPTH + 2), f"nested more than {MAX_DEPTH} deep"),
        ('a: "\\U99999999"', "not YAML"),
    ],
)
def test_what_is_not_this_yaml_is_explained(text, message):
    assert message in messages(text)[-1]


def test_a_key_that_is_no_text_is_told_once():
    """Whoever looks at the document's keys would tell of it again."""
    document = read_yaml("a: {1: x, b: 3, true: v}\n2: z\n")
    assert (document.value, len(document.problems)) == ({"a": {"b": 3}}, 3)


@given(st.text(max_size=200) | st.text(st.sampled_from("a:- \n[]{}&*!|>'\"%#?0.,\t"), max_size=60))
def test_any_text_gives_a_document_or_problems(text):
    document = read_yaml(text)
    assert document.complete or document.problems


def test_a_float_keeps_its_value_to_the_last_bit():
    for value in (5e-324, 1.7976931348623157e308, 0.1, 1e22, 123456789.123456789):
        assert read_yaml(write_yaml({"x": value})).value == {"x": value}
    assert not math.isinf(read_yaml(write_yaml({"x": 1.7976931348623157e308})).value["x"])


OPENED = "not YAML: the {} is not closed: {}"


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ('a: 1\nb: "open\nc: 2\nd: 3\n', 2, 4, OPENED.format("quote that begins here", '"open')),
        ("a: 1\nb: 'open\nc: 2\n", 2, 4, OPENED.format("quote that begins here", "'open")),
        ('a: 1\n"b: 2\nc: 3\n', 2, 1, OPENED.format("quote that begins here", '"b: 2')),
        ("a: 1\nb:\n  - x\n  - 'y\nc: 2\n", 4, 5, OPENED.format("quote that begins here", "'y")),
        ('q: "What: is\nmodels: [a]\ndata: "x"\n', 1, 4, "not YAML: the quote that begins here is closed lines later only"),
        ("a: 1\nb: [1, 2\nc: 2\nd: 3\n", 2, 4, OPENED.format("[ that is opened here", "[1, 2")),
        ("a: 1\nb: {x: 1\nc: 2\n", 2, 4, OPENED.format("{ that is opened here", "{x: 1")),
        ("b: [1, {x: 2]\nc: 2\n", 1, 13, "not YAML: a comma is missing here, or the { before it is not closed"),
        ("b: ['x' 1]\nc: 2\n", 1, 9, "not YAML: a comma is missing here, or the [ before it is not closed"),
        ("a: 1\nb: ]\n", 2, 4, "not YAML: this ] closes nothing"),
        ("a:\n  b: 1\n c: 2\n", 3, 2, "not YAML: this line is indented otherwise than those before it"),
        ("a: 1\n  b: 2\n", 2, 4, "not YAML: no ': ' may stand here"),
        ("a: what: is this\n", 1, 8, "not YAML: no ': ' may stand here"),
        ("a: |\n  text\n more\nb: 2\n", 3, 2, "not YAML: this text belongs to nothing before it"),
        ("a: |x\n  text\n", 1, 5, "not YAML: after | or > the line ends"),
        ("a: 1\nb:2\nc: 3\n", 2, 1, "not YAML: this line has no ': ' after its key: b:2"),
        ("a: 1\nb\nc: 2\n", 2, 1, "not YAML: this line has no ': ' after its key: b"),
        ("a: @x\n", 1, 4, "not YAML: a value cannot begin with '@'; put it in quotes"),
        ('a: "\\q"\n', 1, 6, "not YAML: \\q is no escape of double quotes"),
        ("q: 'Don't stop'\n", 1, 9, "not YAML: this text belongs to nothing before it: mind its indentation, and quotes inside of quotes"),
    ],
)
def test_a_syntax_error_is_told_where_it_begins(text, line, column, message):
    [problem] = read_yaml(text, 1).problems
    assert (problem.line, problem.column) == (line, column)
    assert problem.message.startswith(message)


def test_a_key_that_is_no_text_beside_an_empty_one_is_a_problem():
    for text in ('1: a\n"": b\n', 'null: a\n"": b\n', ': a\n"": b\n'):
        assert len(read_yaml(text).problems) == 1
    assert [problem.message for problem in read_yaml('{"": a, "": b}').problems] == ['the key "" is here twice (first on line 1)']

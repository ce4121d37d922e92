"""What a command says, and how options are read."""


class NotTriedError(Exception):
    """Something the fake was not taught."""


class Answer:
    class Given(Exception):  # noqa: N818 - not an error: the answer is known before the end
        def __init__(self, code, stdout, stderr):
            self.answer = Answer(code, stdout, stderr)

    def __init__(self, code, stdout, stderr=""):
        self.code, self.stdout, self.stderr = code, stdout, stderr


def table(text):
    """A dictionary from `key=value` words."""
    return dict(word.split("=", 1) for word in text.split())


class Option:
    """An option: its long and its short name, whether a value follows, and the variable of the environment that also sets it."""

    def __init__(self, long, short="", *, value=True, variable=""):
        self.long, self.short, self.value, self.variable = long, short, value, variable
        self.key = long.replace("-", "_")


def read_options(options, arguments):
    """(values by key, positional arguments). As with getopt, what follows the first positional argument is not an option."""
    values, rest = {}, list(arguments)
    by_name = {f"--{option.long}": option for option in options} | {f"-{option.short}": option for option in options if option.short}
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        name, given, value = _split(word)
        option = by_name.get(name)
        if option is None:
            raise NotTriedError(f"option {name}")
        if not option.value:
            values[option.key] = True
            if given and not word.startswith("--"):
                rest.insert(0, f"-{value}")  # -hr is -h -r
            elif given:
                raise NotTriedError(f"a value for {name}")
        elif given:
            values[option.key] = value
        elif rest:
            values[option.key] = rest.pop(0)
        else:
            raise NotTriedError(f"{name} without its value")
    return values, rest


def _split(word):
    """(name, whether a value is attached, value)."""
    if word.startswith("--"):
        name, given, value = word.partition("=")
        return name, bool(given), value
    return word[:2], len(word) > 2, word[2:]


def read_all_options(options, arguments):
    """As read_options, for commands whose options may follow their arguments."""
    values, words, rest = {}, [], list(arguments)
    while rest:
        found, rest = read_options(options, rest)
        values |= found
        if rest:
            words.append(rest.pop(0))
    return values, words

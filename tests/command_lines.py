"""Command lines in texts, and whether their commands, flags, options and files exist."""

import pathlib
import re
import shlex

from lhrcnn import cli, commands
from lhrcnn import config as configs
from lhrcnn.runs import public, zoo

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROGRAM = re.compile(r"(\S*/)?(lhrcnn|make|python3?) ")
USES_A_RUN = ("run_dir", "checkpoint")  # flags of commands whose --set changes a run's config


def of_page(text):
    """Command lines of a Markdown page as lists of words, with the shell variables it sets put in.

    They stand in indented code, in fenced blocks for a shell, and between backticks."""
    found, variables = [], {}
    for line in [*_code_lines(text), *between_backticks(text)]:
        for name, value in variables.items():
            line = line.replace(f"${name}", value)
        assignment = re.fullmatch(r'([A-Z]+)="(.*)"', line)
        if assignment:
            variables[assignment[1]] = assignment[2]
        elif PROGRAM.match(line):
            found.append(shlex.split(line, comments=True))
    return [words for words in found if "…" not in words]


def between_backticks(text):
    """Command lines between backticks, as texts."""
    spans = re.findall(r"`([^`]+)`", re.sub(r"\s+", " ", text.replace("```", "")))
    return [span for span in spans if PROGRAM.match(span)]


def check(words):
    """Raises AssertionError, or lhrcnn's own error, for words that cannot be typed."""
    program = pathlib.Path(words[0]).name
    if program.startswith("python") and words[1:] and words[1].endswith(".py"):
        assert (ROOT / words[1]).is_file(), words
        command = {"train_main.py": "train", "eval_main.py": "eval"}.get(words[1])
        if command:
            _check_lhrcnn([command, *words[2:]])
    elif program == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        asked = {word for word in words[1:] if word.islower() and "=" not in word}
        assert asked <= set(targets), words
    elif program == "lhrcnn" and words[1:] and words[1] not in ("--help", "--version", "COMMAND"):
        _check_lhrcnn(words[1:])


def stands_in(word):
    """Whether a word stands for something of the reader's, such as NAME or DIR/train."""
    return re.search(r"\$|[A-Z]{3,}", word) is not None


def _code_lines(text):
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    shell = [body for language, body in fences if language in ("", "bash", "sh", "console")]
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    lines = [*shell, *re.findall(r"^ {4,}.*$", outside, re.MULTILINE)]
    joined = re.sub(r" *\\\n\s*", " ", "\n".join(lines))
    return [line.strip() for line in joined.splitlines()]


def _check_lhrcnn(words):
    name = next((n for n in (" ".join(words[:2]), words[0]) if n in cli.COMMANDS), None)
    assert name, f"lhrcnn {' '.join(words)}: no such command"
    rest = words[len(name.split()) :]
    if "--help" in rest:
        return
    values = commands.flags.FlagValues()
    cli.COMMANDS[name].define(values)
    files = cli._parse(name, cli.COMMANDS[name], values, rest)
    for file in files:
        assert not file.startswith("docs/") or (ROOT / file).is_file(), words
    flags = {flag: values[flag].value for flag in values}
    start = flags.get("init_from") or ""
    assert "/" in start or stands_in(start) or start in ("", *zoo.names(), *public.models()), words
    _check_settings(flags)


def _check_settings(flags):
    """Puts --config and --set through the loader of configs."""
    overrides = [text for text in flags.get("set") or [] if text != "section.key=value"]
    config = flags.get("config") or ""
    if config and not stands_in(config):
        path = ROOT / config
        configs.load(path if path.is_file() else commands.find_config(config), overrides)
    elif any(flag in flags for flag in USES_A_RUN) or config:
        for override in overrides:  # each alone: what it needs may stand in the run's config
            configs.load(None, ["model.postprocess.rounds=2", override])
    else:
        configs.load(commands.find_config(commands.DEFAULT_CONFIG), overrides)

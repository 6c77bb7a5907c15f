"""The `lhrcnn` command: finds the command named, reads its flags, and runs it.

Exit status: 0 fine, 1 failed, 2 wrong usage, 130 interrupted from the keyboard. Errors that explain
themselves, LhrcnnError and those of the file system, are one message; `--debug` shows where they
come from. All others keep their traceback.
"""

import contextlib
import logging
import os
import pathlib
import sys
import textwrap
import traceback

import absl.logging
from absl import flags

import lhrcnn
from lhrcnn.choices import did_you_mean
from lhrcnn.commands import (
    PACKAGE,
    benchmark,
    build_ops,
    compare,
    convert,
    data,
    env,
    evaluate,
    export,
    hints,
    localisation,
    make_data,
    options,
    predict,
    pretrain,
    proposals,
    report,
    train,
    zoo,
)
from lhrcnn.errors import ConfigError, LhrcnnError, UsageError

COMMANDS = {
    "train": train.COMMAND,
    "pretrain": pretrain.COMMAND,
    "eval": evaluate.COMMAND,
    "report": report.COMMAND,
    "compare": compare.COMMAND,
    "localisation": localisation.COMMAND,
    "proposals": proposals.COMMAND,
    "predict": predict.COMMAND,
    "export": export.COMMAND,
    "benchmark": benchmark.COMMAND,
    "convert": convert.COMMAND,
    "data check": data.CHECK,
    "data stats": data.STATS,
    "data browse": data.BROWSE,
    "data convert": make_data.CONVERT,
    "data make-shapes": make_data.MAKE_SHAPES,
    "data make-text": make_data.MAKE_TEXT,
    "data imagenet-split": make_data.IMAGENET_SPLIT,
    "data voc-to-det": make_data.VOC_TO_DET,
    "zoo": zoo.LIST,
    "zoo get": zoo.GET,
    "zoo verify": zoo.VERIFY,
    "pack": zoo.PACK,
    "build-ops": build_ops.COMMAND,
    "config": options.COMMAND,
    "env": env.COMMAND,
}
HELP = ("-h", "-help", "--help", "help")
DEBUG = "--debug"
FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130
WIDTH = 100


def main(arguments=None):
    """Runs `lhrcnn ARGUMENTS` (default: those of the process) and returns its exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    debug = DEBUG in arguments
    # Read when TensorFlow is imported. Its C++ side reports harmless things as errors; real ones
    # come back as exceptions too.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _log_plainly()
    with contextlib.suppress(AttributeError):  # of another kind of stream
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be of no encoding
    try:
        status = _main([argument for argument in arguments if argument != DEBUG])
        sys.stdout.flush()
        return status
    except (UsageError, ConfigError, flags.Error) as error:
        return _fail(error, WRONG_USAGE, debug)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe went away, as `head` does; Python would complain when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (LhrcnnError, OSError) as error:
        return _fail(error, FAILED, debug)
    except Exception:  # the edge of the program
        traceback.print_exc()
        return FAILED


def _log_plainly():
    """Log lines as `WARNING: message` on stderr: all of lhrcnn, warnings of the libraries."""
    handler = logging.StreamHandler()
    handler.addFilter(
        lambda record: record.levelno >= logging.WARNING
        or PACKAGE in pathlib.Path(record.pathname).resolve().parents  # of lhrcnn
    )
    logging.basicConfig(format="%(levelname)s: %(message)s", handlers=[handler])
    absl.logging.set_verbosity(absl.logging.INFO)


def _main(arguments):
    if not arguments:
        print(_overview())
        return WRONG_USAGE
    if arguments[0] in HELP:
        print(_overview())
        return 0
    if arguments[0] in ("--version", "version"):
        print(f"lhrcnn {lhrcnn.__version__}")
        return 0
    name, rest = _split(arguments)
    if name is None:
        print(_overview(arguments[0] + " "))
        return 0 if arguments[-1] in HELP else WRONG_USAGE
    command, values = COMMANDS[name], flags.FlagValues()
    command.define(values)
    if any(argument in HELP[:3] for argument in rest):
        print(_help(name, command, values))
        return 0
    positional = _parse(name, command, values, rest)
    return command.run(values, *([positional] if command.positional else [])) or 0


def _split(arguments):
    """(name of the command, its arguments); the name is None for a group's word alone."""
    for words in (2, 1):
        name = " ".join(arguments[:words])
        if name in COMMANDS:
            return name, arguments[words:]
    group = [name for name in COMMANDS if name.startswith(arguments[0] + " ")]
    if group and (len(arguments) == 1 or arguments[1] in HELP):
        return None, []
    given = " ".join(arguments[:2]) if group else arguments[0]
    listed = f"there are: {', '.join(group or COMMANDS)}"
    hint = hints.command(given) or did_you_mean(given, COMMANDS) or listed
    raise UsageError(f"'{given}' is not a command of lhrcnn; {hint}")


def _parse(name, command, values, arguments):
    """Reads the flags into `values`; returns the positional arguments."""
    values.set_gnu_getopt(True)
    listed = f"`lhrcnn {name} --help` lists its flags"
    try:
        positional = values(["lhrcnn", *arguments])[1:]
    except flags.UnrecognizedFlagError as error:
        hint = hints.flag(name, error.flagname, _value_of(error.flagname, arguments), set(values))
        message = f"`lhrcnn {name}` has no flag --{error.flagname}; {hint}" if hint else error
        raise UsageError(f"{message}\n{listed}") from None
    except flags.Error as error:
        raise UsageError(f"{error}\n{listed}") from None
    if positional and not command.positional:
        hint = hints.positional(name, positional[0], set(values))
        raise UsageError(
            f"`lhrcnn {name}` takes flags only, found '{positional[0]}'"
            + (f"; {hint}" if hint else "")
            + f"\n{listed}"
        )
    return positional


def _value_of(flag, arguments):
    """What stands behind a flag that a command does not have; "" for nothing."""
    for word, following in zip(arguments, [*arguments[1:], ""]):
        given, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-") and given == flag:
            return value if equals else "" if following.startswith("-") else following
    return ""


def _overview(prefix=""):
    names = [name for name in COMMANDS if name.startswith(prefix)]
    lines = "\n".join(f"  {name:<21}{COMMANDS[name].summary}" for name in names)
    return (
        f"usage: lhrcnn {prefix}COMMAND [FLAGS]\n\n{lines}\n\n"
        "`lhrcnn COMMAND --help` lists the flags of a command; with --debug an error shows\n"
        "where it comes from."
    )


def _help(name, command, values):
    usage = " ".join(filter(None, ["usage: lhrcnn", name, command.positional, "[FLAGS]"]))
    lines = [usage, "", f"{command.summary}.", ""]
    for flag in map(values.__getitem__, values):
        default = f" (default: {flag.default})" if flag.default not in (None, "", [], False) else ""
        lines.append(f"  --{'[no]' if flag.boolean else ''}{flag.name}")
        text = textwrap.fill(flag.help.split(";\n")[0] + default, WIDTH - 6)
        lines.append(textwrap.indent(text, " " * 6))
    return "\n".join(lines)


def _fail(error, status, debug):
    message = str(error)
    if isinstance(error, OSError) and error.strerror and error.filename:
        message = f"{error.filename}: {error.strerror}"
    sys.stdout.flush()
    if debug:
        traceback.print_exception(type(error), error, error.__traceback__)
    print(f"lhrcnn: {message}", file=sys.stderr)
    return status

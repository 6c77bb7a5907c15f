"""`lhrcnn config`."""

from lhrcnn import commands, config
from lhrcnn.errors import UsageError

FLAGS = (
    commands.SET,
    commands.DATA_DIR,
    commands.switch("markdown", False, "all options with their defaults, as docs/options.md"),
)


def run(values, arguments):
    """Prints the options of a config with their meanings; without a name, which there are."""
    if values.markdown:
        print(config.markdown(), end="")
    elif not arguments:
        print(_shipped())
    elif len(arguments) > 1:
        raise UsageError(f"name one config, found {' '.join(arguments)}")
    else:
        path = commands.find_config(arguments[0])
        loaded = config.load(path, values["set"].value)
        print(f"# {path}\n{config.describe(commands.with_data_dir(loaded, values))}")


def _shipped():
    """The shipped configs with the first line that each says about itself."""
    lines = [
        f"{name:<46} {path.read_text(encoding='utf-8').splitlines()[0].lstrip('# ')}"
        for name, path in commands.shipped_configs().items()
    ]
    return "\n".join([*lines, "", "`lhrcnn config NAME` prints all options of one."])


COMMAND = commands.Command(
    "options of a shipped config, a file or a run, with their meanings",
    FLAGS,
    run,
    positional="[NAME]",
)

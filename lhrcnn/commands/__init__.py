"""The commands of lhrcnn, a module each, and what they share: how a command is described, and flags
that several have.

TensorFlow is imported inside the functions that need it, so that help and wrong usage answer at
once. One rule for all: --split names images as the config does; --output is replaced only where
lhrcnn wrote it, or with --overwrite, and never where the command reads it.
"""

import functools
import pathlib
import re
import typing

from absl import flags

from lhrcnn import config, files
from lhrcnn.commands import hints
from lhrcnn.config.shipped import find_config, shipped_configs  # noqa: F401  for commands
from lhrcnn.data.readers import READERS
from lhrcnn.errors import DataError, UsageError
from lhrcnn.inference import MERGES
from lhrcnn.runs.directory import RUN_FILES
from lhrcnn.runs.zoo import find_run

DEFAULT_CONFIG = "light_head_xception_shapes"
PACKAGE = pathlib.Path(__file__).resolve().parents[1]


class Command(typing.NamedTuple):
    """What `lhrcnn NAME` is and does."""

    summary: str  # one line
    flags: tuple  # of what `text`, `switch`, ... below make
    run: typing.Callable  # (flags.FlagValues[, positional arguments]) -> status, None being 0
    positional: str = ""  # what positional arguments are, "": there are none

    def define(self, values):
        """Defines its flags in flags.FlagValues."""
        for flag in self.flags:
            flag(flag_values=values)


# Flags by kind: text(name, default, meaning), or what else absl's function takes, is one of a
# command, to be defined where there are FlagValues.
text, switch, integer, number, choice, several = (
    functools.partial(functools.partial, define)
    for define in (
        flags.DEFINE_string,
        flags.DEFINE_boolean,
        flags.DEFINE_integer,
        flags.DEFINE_float,
        flags.DEFINE_enum,
        flags.DEFINE_multi_string,
    )
)

SET = several(
    "set", [], "key=value: changes one option, e.g. --set train.batch_size=4; may be repeated"
)
DATA_DIR = text("data_dir", "", "folder of the data set, instead of the config's data.dir")
# Of commands that use a trained model.
RUN = (
    text("run_dir", "", "run directory of the training, or the name of a pretrained model"),
    text("checkpoint", "best", "best, last, or the path of a checkpoint file of this run"),
)
# Of commands that run exported models.
MODEL = (
    text(
        "model",
        "",
        "what `lhrcnn export` wrote, instead of a run: its folder, or the file of the model in it",
    ),
    choice(
        "precision",
        "float32",
        ["float32", "bfloat16"],
        "of the runtime of --model, where it has a choice (OpenVINO)",
    ),
)
ENSEMBLE = several(
    "ensemble",
    [],
    "run directory of another model that detects together with the first: their proposals are "
    "united, their scores and boxes averaged; may be repeated",
)
# For `tiled`.
TILES = (
    integer(
        "tiles",
        0,
        "side in px of the tiles that each image is cut into; 0: it is looked at as a whole",
        lower_bound=0,
    ),
    number(
        "overlap",
        0.2,
        "share of a tile's side that neighbours have in common; more than the largest object needs",
        lower_bound=0,
        upper_bound=0.9,
    ),
    text(
        "tile_merge",
        "nms",
        f"what becomes of boxes of several tiles, of {', '.join(MERGES)} (the best stays, or their "
        "weighted mean) and those of plugins",
    ),
)


def config_flags(default=DEFAULT_CONFIG):
    """--config, --set and --data_dir."""
    meaning = f"YAML file with the options, or the name of a shipped one; none: {default}"
    return text("config", "", meaning), SET, DATA_DIR


def split_flag(use, default):
    """--split: the images that are used in some way, else those of the option data.`default`."""
    return text("split", "", f"{use}, named as in the config; none: its data.{default}")


def splits_flag(use):
    """--split, several times, for `data check` and `stats`."""
    default = "train_split, val_split and test_split, or all found"
    meaning = f"{use}, named as in the config; none: its data.{default}; may be repeated"
    return several("split", [], meaning)


def output_flags(default, meaning):
    """--output and --overwrite, for `output_of`."""
    overwrite = (
        "replace what --output holds, also where lhrcnn did not write it, but never what the "
        "command reads"
    )
    return text("output", default, meaning), switch("overwrite", False, overwrite)


def new_folder_flag(meaning, default=""):
    """--output of commands that make a run or a data set, which go into a folder of their own."""
    return text("output", default, f"{meaning}: a new folder, or one that lhrcnn made")


def output_of(values, folder, inputs=(), of_run=False):
    """The files.Output of a command with `output_flags`, which reads the files `inputs`.

    of_run: the folder belongs to a run directory, where lhrcnn may replace its own older files."""
    return files.Output(folder, overwrite=values.overwrite or of_run, inputs=inputs)


def file_output(values, inputs=()):
    """A function (text, what it is) that writes the file of --output and says so; it does nothing
    where none is given. Raises OutputError where the file may not be written."""
    if not values.output:
        return lambda text, what: None
    path = pathlib.Path(values.output)
    output = output_of(values, path.parent, inputs)
    output.check(path.name)

    def write(text, what):
        output.write(path.name, text)
        print(f"{what}     {path}")

    return write


def size(values):
    """(height, width) px of --size. Raises UsageError."""
    match = re.fullmatch(r"0*([1-9]\d*)x0*([1-9]\d*)", values.size)
    if not match:
        text = "expected height x width in px, such as --size 480x640"
        raise UsageError(f"--size={values.size}: {text}")
    return int(match[1]), int(match[2])


def tiled(detector, values):
    """The predictor.Detector, or the TiledDetector that --tiles asks for. Raises UsageError."""
    from lhrcnn.inference import tiles

    return tiles.tiled(detector, values.tiles, values.overlap, values.tile_merge)


def check_pairs(values, *more):
    """Raises UsageError for a flag that says something of another one, which was not given; `more`
    are (flag, the other one) of this command."""
    pairs = ("overlap", "tiles"), ("tile_merge", "tiles"), ("precision", "model")
    for name, of in (*pairs, *more):
        if name in values and values[name].present and not values[of].value:
            hint = "; of a run: --set test.precision=..." if name == "precision" else ""
            raise UsageError(f"--{name} has a meaning only with --{of}{hint}")


def exported_detector(values, *unused):
    """The ExportedDetector of --model. Raises UsageError for a flag of a run, or of `unused`, that
    was given too, and for options in --set that an exported model has fixed."""
    given = [name for name in ("run_dir", "checkpoint", *unused) if values[name].present]
    if given:
        raise UsageError(f"--{given[0]} has no meaning beside --model; give one or the other")
    for override in values["set"].value:
        if not override.startswith(("data.", "eval.")):
            raise UsageError(
                f"--set {override}: an exported model is what it is; allowed beside --model: "
                "data.* and eval.*, which say what it is scored on"
            )
    from lhrcnn.inference.export.exported import ExportedDetector

    return ExportedDetector(values.model, values.precision)


def overrides_of_run(values, *more):
    """What --set and `more` change in the config of --run_dir, as texts, judged together with it
    before TensorFlow starts. Raises ConfigError, and RunError where there is no run."""
    overrides = [*values["set"].value, *more]
    find_run(values.run_dir, RUN_FILES).config(overrides)
    return overrides


def refuse_several_looks(values):
    """Raises UsageError where --set asks a command for more than one look at each image."""
    for override in values["set"].value:
        if override.partition("=")[0] in ("test.scales", "test.flip"):
            raise UsageError(
                f"--set {override}: this command looks at each image once, as training does; "
                "`lhrcnn eval` and `predict` take it"
            )


def load_config(values, path=None):
    """The Config of --config (or of the file `path`), --set and --data_dir. Raises ConfigError.

    A folder of --data_dir with files, and neither a config nor a data.format with it, is found out:
    data.format is `auto`."""
    overrides = values["set"].value
    loaded = config.load(path or find_config(values.config or DEFAULT_CONFIG), overrides)
    named = path or values.config or any(text.startswith("data.format") for text in overrides)
    if values.data_dir and not named and is_users_data(values.data_dir):
        loaded = config.changed(loaded, {"data.format": "auto"})
    return with_data_dir(loaded, values)


def is_users_data(folder):
    """Whether a data folder is another than the embedded data set's. DataError: it has no file."""
    from lhrcnn.data.tools.shapes import is_drawn

    path = pathlib.Path(folder)
    if hints.data_dir(folder, READERS):
        return True  # `with_data_dir` refuses it
    if not (path.is_dir() and any(path.iterdir())):
        raise DataError(
            f"{folder}: {'an empty' if path.is_dir() else 'no such'} data folder; `lhrcnn data "
            f"make-shapes --output {folder}` draws the embedded data set there"
        )
    return not is_drawn(path)


def check_data_dir(values):
    """Raises UsageError where --data_dir is a file."""
    hint = hints.data_dir(values.data_dir, READERS) if values.data_dir else ""
    if hint:
        raise UsageError(f"--data_dir={values.data_dir}: expected a folder; {hint}")


def with_data_dir(loaded, values):
    """The Config with the folder of --data_dir, where that is given. UsageError for a file."""
    check_data_dir(values)
    return config.changed(loaded, {"data.dir": values.data_dir}) if values.data_dir else loaded


def loaded_run(values, run_dir, overrides, ensemble=()):
    """(LoadedRun of a run directory with the weights of --checkpoint, the strategy it is for)."""
    from lhrcnn.distribution import strategy_for
    from lhrcnn.inference.predictor import load_run

    strategy = strategy_for()
    with strategy.scope():
        return load_run(run_dir, values.checkpoint, overrides, ensemble), strategy


def dataset_of_run(trained, values):
    """(Dataset of --split and --data_dir with the classes of a predictor.LoadedRun, its Config, the
    split)."""
    from lhrcnn.evaluation.of_run import dataset_of

    here = trained._replace(config=with_data_dir(trained.config, values))
    return dataset_of(here, values.split)


def require(values, name, example):
    """The value of a flag. Raises UsageError where it was not given."""
    if not values[name].value:
        raise UsageError(f"--{name} is missing; give for example --{name} {example}")
    return values[name].value

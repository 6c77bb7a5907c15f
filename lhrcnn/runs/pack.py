"""Small run directories for sharing, made from those of trainings."""

import dataclasses
import pathlib

import numpy as np

from lhrcnn.errors import OutputError
from lhrcnn.runs import zoo
from lhrcnn.runs.directory import RUN_FILES, RunDirectory
from lhrcnn.runs.state import weights_of

PATHS = ("data.dir", "data.proposals", "model.backbone.weights", "train.init_from", "train.teacher")
SPLITS = ("train_split", "val_split", "test_split", "image_dir")  # of data: names, or paths


def pack(run_dir, output, checkpoint="best"):
    """Writes a run directory that detects as `run_dir` does; returns the path of its weights.

    The averaged weights, where the run has them; kernels in half precision, all else in float32,
    since statistics of batch norm are often below what half precision can tell from zero; the
    config without folders of this machine. Raises CheckpointError, RunError when it is no run
    directory, and OutputError when the output holds a run or other files."""
    source, packed = zoo.find_run(run_dir, RUN_FILES), RunDirectory(output, "--output")
    arrays, meta = source.checkpoints.load(checkpoint)
    if packed.checkpoints.steps():
        raise OutputError(f"{output}: already holds checkpoints; give another --output")
    packed.start(portable(source.config()), *source.classes())
    data = source.data()
    if data:
        folder, _, split = str(data.get("name", "")).rpartition(" ")
        packed.write_data({**data, "name": f"{pathlib.Path(folder).name} {split}"})
    values = {
        f"model/{name}": array.astype(np.float16) if array.ndim > 1 else array
        for name, array in weights_of(arrays).items()
    }
    return packed.checkpoints.save(values, {"step": meta["step"]})


def portable(config):
    """A copy of a Config that names no folder of this machine.

    Folders of data and proposals, weights to start from and files of plugins are named by their
    last part alone, as are splits and folders of images with a whole path; there is no cache."""
    data, backbone = config.data, config.model.backbone
    names = ("dir", "proposals", *SPLITS)
    own = {name: _portable(f"data.{name}", getattr(data, name)) for name in names}
    weights = _portable("model.backbone.weights", backbone.weights)
    stages = [
        {key: _portable(str(key), value) for key, value in stage.items()}
        for stage in config.train.stages
    ]
    backbone = dataclasses.replace(backbone, weights=weights)
    return dataclasses.replace(
        config,
        plugins=[pathlib.Path(plugin).name for plugin in config.plugins],
        data=dataclasses.replace(data, **own, cache_dir=""),
        model=dataclasses.replace(config.model, backbone=backbone),
        train=dataclasses.replace(
            config.train,
            stages=stages,
            init_from=_portable("train.init_from", config.train.init_from),
            teacher=_portable("train.teacher", config.train.teacher),
        ),
    )


def _portable(option, value):
    """The value of an option without the folders of this machine."""
    split = option.startswith("data.") and option[len("data.") :] in SPLITS
    if option in PATHS or split and pathlib.Path(value).is_absolute():
        return pathlib.Path(value).name
    return value

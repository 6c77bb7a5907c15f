"""Small run directories for sharing, made from those of trainings."""

import dataclasses
import pathlib

import numpy as np

from lhrcnn.errors import OutputError
from lhrcnn.runs import zoo
from lhrcnn.runs.directory import RUN_FILES, RunDirectory
from lhrcnn.runs.state import weights_of


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

    The data set's folder and files of plugins are named by their last part alone, and there is no
    cache."""
    data = dataclasses.replace(config.data, dir=pathlib.Path(config.data.dir).name, cache_dir="")
    plugins = [pathlib.Path(plugin).name for plugin in config.plugins]
    return dataclasses.replace(config, data=data, plugins=plugins)

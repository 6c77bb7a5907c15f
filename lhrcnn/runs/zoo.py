"""The pretrained models that come with the package: a folder each, small run directories made by `pack`.

A name from here stands wherever a run directory is asked for.
"""

import dataclasses
import json
import pathlib
import typing

from lhrcnn.files import Output

FOLDER = pathlib.Path(__file__).parents[1] / "zoo"
DEFAULT = "light_head_mobilenet_v2_voc07_144"
RUN_FILES = ("config.yaml", "classes.json")  # what every run directory has beside its checkpoints


class Entry(typing.NamedTuple):
    """A pretrained model."""

    name: str
    megabytes: float  # of its weights
    class_names: list[str]
    scores: list[str]  # "VOC2007/test: voc07 mAP 0.612", from its evaluations


def names():
    """Names of the models in the package, sorted."""
    return sorted(path.parent.name for path in FOLDER.glob("*/config.yaml"))


def find_run(run_dir, needed=()):
    """The folder of a run: `run_dir` itself where a config lies in it, else the model of that name in the package.

    What commands write about such a model, as its evaluations, goes into a folder of its name where they are called.
    Raises FileNotFoundError where one of the files `needed` is not in the folder."""
    own = pathlib.Path(run_dir)
    folder = FOLDER / own if str(run_dir) in names() and not (own / "config.yaml").exists() else own
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        there = "no such folder" if not folder.is_dir() else f"no {' and no '.join(missing)} in it"
        raise FileNotFoundError(
            f"{folder}: not a run directory: {there}; give the --run_dir of a training, which writes these "
            f"files, or the name of a pretrained model: {', '.join(names()) or 'there are none here'}"
        )
    return folder


def entries():
    """An `Entry` of every model in the package."""
    return [_entry(FOLDER / name) for name in names()]


def pack(run_dir, output, checkpoint="best"):
    """Writes a small run directory that detects as `run_dir` does, for sharing; returns the path of its weights.

    The averaged weights, where the run has them; kernels in half precision, all else in float32, since statistics of batch norm are
    often below what half precision can tell from zero; the config without folders of this machine. Raises CheckpointError,
    FileNotFoundError when it is no run directory, and FileExistsError when the output holds a run."""
    import numpy as np

    from lhrcnn import config as configs
    from lhrcnn.runs import checkpoints, state

    source, output = find_run(run_dir, RUN_FILES), pathlib.Path(output)
    arrays, meta = checkpoints.CheckpointStore(source).load(checkpoint)
    if checkpoints.CheckpointStore(output).steps():
        raise FileExistsError(f"{output}: already holds checkpoints; give another --output")
    written = Output(output)
    written.check(*RUN_FILES)
    written.write("config.yaml", configs.dump(portable(configs.load(source / "config.yaml"))))
    written.write("classes.json", (source / "classes.json").read_text(encoding="utf-8"))
    values = {
        f"model/{name}": array.astype(np.float16) if array.ndim > 1 else array
        for name, array in state.weights_of(arrays).items()
    }
    return checkpoints.CheckpointStore(output).save(values, {"step": meta["step"]})


def portable(config):
    """A copy of a Config that names no folder of this machine: the data set's by its last name alone, and no cache."""
    data = dataclasses.replace(config.data, dir=pathlib.Path(config.data.dir).name, cache_dir="")
    return dataclasses.replace(config, data=data)


def _entry(folder):
    scores = []
    for path in sorted(folder.glob("eval/*.json")):
        metrics = json.loads(path.read_text(encoding="utf-8"))
        scores += [
            f"{metrics['data']}: {kind} {key} {metrics[kind][key]:.3f}"
            for kind, key in (("voc07", "mAP"), ("voc", "mAP"), ("coco", "AP"))
            if kind in metrics
        ]
    classes = json.loads((folder / "classes.json").read_text(encoding="utf-8"))["names"]
    size = sum(path.stat().st_size for path in folder.glob("checkpoints/*.npz"))
    return Entry(folder.name, size / 1e6, classes, scores)

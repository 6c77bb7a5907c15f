"""The pretrained models that come with the package: a folder each, small run directories made by
`pack`. A name from here stands wherever a run directory is asked for.
"""

import pathlib
import typing

from lhrcnn.runs import public
from lhrcnn.runs.directory import CONFIG, RunDirectory

FOLDER = pathlib.Path(__file__).parents[1] / "zoo"
# What detects, and what a training with a derived config starts from, unless another is named: of
# two models the better one, and the one of which twice the steps fit into the same time.
DEFAULT = "light_head_efficientnet_lite2_voc07_192_keep_ratio"
START = "light_head_mobilenet_v2_voc07_144"


class Entry(typing.NamedTuple):
    """A pretrained model."""

    name: str
    megabytes: float  # of its weights
    class_names: list[str]
    scores: list[str]  # "VOC2007/test: voc07 mAP 0.612", from its evaluations


def names():
    """Names of the models in the package, sorted."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{CONFIG}"))


def find_run(run_dir, needed=()):
    """The RunDirectory `run_dir` where a config lies in it, else the model of that name: one of the
    package, or a public one, which is downloaded the first time.

    What commands write about a model, as its evaluations, goes into a folder of its name where
    they are called. Raises RunError where one of the files `needed` is not there."""
    run = RunDirectory(run_dir)
    name = str(run)
    if not (run.folder / CONFIG).exists():
        if name in names():
            run = RunDirectory(FOLDER / name)
        elif name in public.models():
            run = RunDirectory(public.get(name))
    known = ", ".join(names()) or "there are none here"
    run.require(
        *needed,
        or_else=f", or the name of a pretrained model: {known}, or a public one of `lhrcnn zoo`",
    )
    return run


def entries():
    """An `Entry` of every model in the package."""
    return [_entry(RunDirectory(FOLDER / name)) for name in names()]


def _entry(run):
    scores = []
    for metrics in run.evaluations().values():
        scores += [
            f"{metrics['data']}: {kind} {key} {metrics[kind][key]:.3f}"
            for kind, key in (("voc07", "mAP"), ("voc", "mAP"), ("coco", "AP"))
            if kind in metrics
        ]
    size = run.checkpoints.path("last").stat().st_size
    return Entry(run.folder.name, size / 1e6, run.classes()[0], scores)

"""From a foreign checkpoint to a run directory, which is then used like that of a training."""

import pathlib
import typing

from lhrcnn import config as configs
from lhrcnn.choices import resolve
from lhrcnn.errors import CheckpointError, OutputError
from lhrcnn.models.build import build_detector
from lhrcnn.runs.directory import RunDirectory
from lhrcnn.runs.state import model_arrays
from lhrcnn.weights.class_names import COCO
from lhrcnn.weights.files import read_checkpoint
from lhrcnn.weights.sources import SOURCES
from lhrcnn.weights.translate import translate


class Conversion(typing.NamedTuple):
    """What became of a checkpoint."""

    used: int  # variables that were set
    dropped: dict  # reason -> names of tensors
    new: list[str]  # variables that start from random weights: those outside a backbone
    class_names: list[str]
    checkpoint: pathlib.Path


def convert(source_name, checkpoint, config, run_dir, class_names=(), epsilon=None):
    """Writes the run directory of a checkpoint of SOURCES[source_name] for a Config, and returns
    the Conversion.

    class_names: of the checkpoint's outputs in order; (): those in the file, of the data set
    such a checkpoint is usually of, or the config's data.classes. epsilon: of its batch norms,
    None: the source's usual one. Raises CheckpointError that names every
    tensor and variable for which there is no place; then nothing is written."""
    run = RunDirectory(run_dir, "--output")
    if run.checkpoints.steps():
        raise OutputError(f"{run_dir}: already holds checkpoints; give another --output")
    run.check_start()
    config = configs.changed(config, {"model.backbone.weights": ""})
    arrays, names_in_file = read_checkpoint(checkpoint)
    try:
        source = resolve(SOURCES[source_name].describe)(arrays, config.model)
        names, category_ids = _classes(source, class_names, names_in_file, config.data.classes)
    except CheckpointError as error:
        raise CheckpointError(f"{checkpoint}: {error}") from None
    if epsilon is not None:
        source = source._replace(epsilon=epsilon)
    del arrays  # so that each is gone once the model has it
    detector, used, translation = build_converted(
        source, config, len(names), f"{checkpoint} as a checkpoint of {source_name}"
    )
    run.start(config, names, category_ids)
    meta = {"step": 0, "converted_from": source_name}
    path = run.checkpoints.save(model_arrays(detector), meta)
    reasons = {
        reason: sorted(name for name, why in translation.dropped.items() if why == reason)
        for reason in translation.dropped.values()
    }
    return Conversion(used, reasons, translation.new, names, path)


def build_converted(source, config, num_classes, what):
    """(detector with the weights of a Source for a Config, number of variables that it set, the
    Translation, of which the arrays are gone; so are the Source's).

    `what` stands before messages.

    Raises CheckpointError where tensors or variables have no place."""
    detector = build_detector(config, num_classes)
    variables = detector.named_variables()
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    translation = translate(source, shapes, detector.pixel_mean, detector.pixel_std, what)
    used = len(translation.arrays)
    if not used:
        raise CheckpointError(
            f"{what}: no weight in it fits the config's model, {config.model.backbone.name}"
        )
    for name in list(translation.arrays):
        variables[name].assign(translation.arrays.pop(name))
    return detector, used, translation


def _classes(source, given, in_file, in_config):
    """(names, category ids) of the outputs, from the first place that tells."""
    number = source.num_classes
    usual = source.labels if len(source.labels[0]) == number else ((), ())
    names = list(given or in_file or usual[0] or in_config)
    if not names:
        found = (
            "a backbone without classes" if number is None else f"{number} classes without names"
        )
        raise CheckpointError(f"holds {found}; name them, one per line, in a file for --classes")
    if number is not None and len(names) != number:
        raise CheckpointError(
            f"holds {number} classes, {len(names)} names were given or found: "
            f"{', '.join(names[:10])} ...; name them in --classes"
        )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise CheckpointError(
            f"the class '{repeated[0]}' is named twice; give each output a name of its own in "
            "--classes"
        )
    if names == usual[0]:
        return names, usual[1]
    ids = dict(zip(*COCO))
    if set(names) <= set(ids):
        return names, [ids[name] for name in names]
    return names, list(range(1, len(names) + 1))

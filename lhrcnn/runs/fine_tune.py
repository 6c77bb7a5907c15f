"""Starting a training from the weights of another run."""

import json

from lhrcnn.errors import CheckpointError
from lhrcnn.runs import zoo
from lhrcnn.runs.checkpoints import CheckpointStore
from lhrcnn.runs.state import weights_of

SCORE_LAYERS, BOX_LAYERS = (
    ("class_scores", "class_map"),
    ("class_boxes", "box_map", "box_targets", "locnet_rows", "locnet_columns"),
)


def init_from(detector, class_names, source):
    """Sets the weights of a detector of `class_names` from a run directory, or a pretrained model by name: its best checkpoint, averaged
    weights where it has them.

    Variables of equal name and shape are reused. The outputs of the class layers are copied class by class, by name, and the
    background's too; those of other classes stay new. Returns lines that tell what became of the variables.
    Raises FileNotFoundError, and CheckpointError also where nothing fits."""
    old_names, arrays = _read_class_names(source), read_run(source)
    reused, by_class, new = [], [], []
    for name, variable in detector.named_variables().items():
        array, layer = arrays.get(name), name.split("/")[-2]
        per_class = (
            layer in SCORE_LAYERS or layer in BOX_LAYERS and not detector.head.config.class_agnostic
        )
        if per_class and array is not None:
            bins = detector.head.config.pool_size**2 if layer.endswith("_map") else 1
            array = _by_class(
                array,
                variable.numpy(),
                old_names,
                class_names,
                bins,
                background=layer in SCORE_LAYERS,
            )
        if array is None or array.shape != tuple(variable.shape):
            new.append(name)
            continue
        variable.assign(array)
        (by_class if per_class else reused).append(name)
    if not reused:
        raise CheckpointError(
            f"{source}: none of its {len(arrays)} weights fits this model; was the run made with another model?"
        )
    known = [name for name in class_names if name in old_names]
    details = [
        ("copied by class", by_class),
        ("classes known", known),
        ("classes new", [name for name in class_names if name not in known]),
        ("variables new", new),
    ]
    return [
        f"weights of {source}: {len(reused)} variables reused, {len(by_class)} copied by class, {len(new)} new",
        *(f"  {title}: {', '.join(names)}" for title, names in details if names),
    ]


def read_run(run_dir):
    """{name: array} of a run's best checkpoint; averaged weights, where present, win. Raises CheckpointError."""
    return weights_of(CheckpointStore(zoo.find_run(run_dir)).load("best")[0])


def _read_class_names(run_dir):
    path = zoo.find_run(run_dir, ["classes.json"]) / "classes.json"
    return json.loads(path.read_text(encoding="utf-8"))["names"]


def _by_class(array, fresh, old_names, new_names, bins, background):
    """`fresh` with the outputs of the classes that `array` knows too; None where the layers are of another kind.

    The last axis holds the outputs: bin by bin in position-sensitive maps, then class by class, then the numbers of a class (a score,
    4 deltas, or LocNet's cells); `background` is whether there is one, behind the classes."""
    numbers = fresh.shape[-1] // bins // (len(new_names) + background)
    if array.shape != (*fresh.shape[:-1], bins * numbers * (len(old_names) + background)):
        return None
    known = array.reshape(*fresh.shape[:-1], bins, -1, numbers)
    result = fresh.reshape(*fresh.shape[:-1], bins, -1, numbers).copy()
    for index, name in enumerate(new_names):
        if name in old_names:
            result[..., index, :] = known[..., old_names.index(name), :]
    if background:
        result[..., -1, :] = known[..., -1, :]
    return result.reshape(fresh.shape)

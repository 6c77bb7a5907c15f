"""Starting a training from the weights of another run."""

import numpy as np

from lhrcnn.errors import CheckpointError, ConfigError
from lhrcnn.models.heads.box_targets import rescaled
from lhrcnn.runs import zoo
from lhrcnn.runs.directory import RUN_FILES
from lhrcnn.runs.state import weights_of


def init_from(detector, class_names, source):
    """Sets the weights of a detector of `class_names` from a run directory, or a pretrained model
    by name: its best checkpoint, averaged weights where it has them.

    Variables of equal name and shape are reused. The outputs of the class layers are copied class
    by class, by name, and the background's too; those of other classes stay new. Box outputs are
    rescaled to what this detector's box targets are normalised by. Returns lines that tell what
    became of the variables. Raises RunError, ConfigError, and CheckpointError where nothing
    fits."""
    run = OldRun(zoo.find_run(source, RUN_FILES))
    reused, by_class, new = [], [], []
    outputs = _outputs(detector)
    # What box targets are normalised by comes first: the box outputs are brought to these units.
    names = detector.named_variables().items()
    for name, variable in sorted(names, key=lambda item: bool(_targets(outputs, item[1]))):
        output, array = outputs.get(variable.ref()), run.arrays.get(name)
        if array is not None and output:
            array = run.converted(array, variable.numpy(), output, class_names)
        if array is None or array.shape != tuple(variable.shape):
            new.append(name)
            continue
        variable.assign(array)
        (by_class if output and output.per_class else reused).append(name)
    if not reused:
        raise CheckpointError(
            f"{source}: none of its {len(run.arrays)} weights fits this model; was the run made "
            "with another model?"
        )
    known = [name for name in class_names if name in run.class_names]
    details = [
        ("copied by class", by_class),
        ("classes known", known),
        ("classes new", [name for name in class_names if name not in known]),
        ("variables new", new),
    ]
    return [
        f"weights of {source}: {len(reused)} variables reused, {len(by_class)} copied by class, "
        f"{len(new)} new",
        *(f"  {title}: {', '.join(names)}" for title, names in details if names),
    ]


def trained_a_head(source):
    """Whether the second stage of a run has learnt anything."""
    return zoo.find_run(source, RUN_FILES).config().train.part != "rpn"


def rescale_outputs(detector, before):
    """Has the box outputs of a detector give the boxes that they gave when its targets' (means,
    deviations) were `before`."""
    for output in detector.head.class_outputs():
        if output.targets is not None:
            for variable in output.layer.weights:
                variable.assign(_rescaled(variable.numpy(), before, output))


def read_run(run_dir):
    """{name: array} of a run's best checkpoint; averaged weights, where present, win. Raises
    CheckpointError."""
    return weights_of(zoo.find_run(run_dir).checkpoints.load("best")[0])


class OldRun:
    """Classes and weights of a run, as another detector can use them."""

    def __init__(self, run):
        self.run, self.arrays = run, read_run(run)
        self.class_names, _ = run.classes()

    def converted(self, array, fresh, output, class_names):
        """`array` for the layer of ClassOutputs whose variable is `fresh` now: outputs of classes
        that are known in both runs, in the units of the detector; None where it does not fit."""
        if output.per_class:
            array = self._by_class(array, fresh, output, class_names)
        if array is None or array.shape != fresh.shape or output.targets is None:
            return array
        before = self._units(output.targets.values(), output, class_names)
        return _rescaled(array, before, output)

    def _by_class(self, array, fresh, output, class_names):
        """`fresh` with the outputs of known classes; None where the layers are of another kind.

        The last axis holds the outputs as parts.ClassOutputs tells."""
        bins, background = output.bins, output.background
        numbers = fresh.shape[-1] // bins // (len(class_names) + background)
        number_here = bins * numbers * (len(self.class_names) + background)
        if array.shape != (*fresh.shape[:-1], number_here):
            return None
        known = array.reshape(*fresh.shape[:-1], bins, -1, numbers)
        result = fresh.reshape(*fresh.shape[:-1], bins, -1, numbers).copy()
        for index, name in enumerate(class_names):
            if name in self.class_names:
                result[..., index, :] = known[..., self.class_names.index(name), :]
        if background:
            result[..., -1, :] = known[..., -1, :]
        return result.reshape(fresh.shape)

    def _units(self, after, output, class_names):
        """The (means, deviations) that this run's deltas are normalised by, of each class of the
        detector; `after` for those that it does not know."""
        own = self.arrays.get("head/targets/mean"), self.arrays.get("head/targets/std")
        if own[0] is None:
            std = self.run.config().model.head.target_std
            times = len(self.class_names) if output.per_class else 1
            own = np.zeros(4 * times, np.float32), np.tile(np.float32(std), times)
        if not output.per_class:
            return own
        plain = output._replace(bins=1, background=False)
        return tuple(self._by_class(*pair, plain, class_names) for pair in zip(own, after))


def _rescaled(array, before, output):
    """box_targets.rescaled to what the targets of ClassOutputs are now; the array where they are
    what they were. Raises ConfigError where it cannot be exact."""
    after = output.targets.values()
    if all(np.array_equal(*pair) for pair in zip(before, after)):
        return array
    if output.bins > 1 and not np.array_equal(before[0], after[0]):
        # At the border of a map they pool zeros beside it, to which no bias can be added.
        raise ConfigError(
            "'model.head.target_statistics': box outputs of position-sensitive maps learnt with "
            "other means of the box targets cannot be used exactly; set it to what the run has "
            "that this training starts from"
        )
    return rescaled(array, before, after)


def _outputs(detector):
    """{variable.ref(): its ClassOutputs}."""
    return {
        variable.ref(): output
        for output in detector.head.class_outputs()
        for variable in output.layer.weights
    }


def _targets(outputs, variable):
    output = outputs.get(variable.ref())
    return output and output.targets is not None

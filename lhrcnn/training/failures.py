"""Why TensorFlow stopped in a step of training, in words of the user's images and options."""

import tensorflow as tf

from lhrcnn.data.faults import find_unreadable
from lhrcnn.errors import TrainingError

BATCHES_TO_SEARCH = 8  # the input pipeline reads ahead of the step that it fails in


def explained(error, step, plan, records):
    """The TrainingError that tells of a tf.errors.OpError after `step` steps of a BatchPlan.

    It names the unreadable image among `records`, or what ran out, or repeats TensorFlow's
    words."""
    ahead = range(max(step - 1, 0), step + BATCHES_TO_SEARCH)  # the failed step may count as done
    near = {records[k].path: records[k] for number in ahead for k in plan.batch(number).indices}
    unreadable = find_unreadable(list(near.values()))
    if unreadable:
        return TrainingError(
            f"step {step + 1}: images cannot be read:\n  "
            + "\n  ".join(unreadable)
            + "\nReplace them and resume, or set data.on_error=skip with another --run_dir"
        )
    if isinstance(error, tf.errors.ResourceExhaustedError):
        height, width = plan.batch(step).canvas
        return TrainingError(
            f"step {step + 1}: out of memory for {plan.batch_size} images of {height}x{width} px; "
            "lower train.batch_size or the size of images, or raise train.accumulate_steps "
            f"({error.message.splitlines()[0]})"
        )
    return TrainingError(f"step {step + 1}: TensorFlow stopped: {error.message}")

"""How much a detector's training step costs over the step of its bare backbone.

    python benchmarks/train_step.py [--config configs/light_head_mobilenet_v2_voc07_144.yaml] \\
        [--batch_size 8] [--rounds 15]

The bare backbone has all its layers trained, its own strides (last map at stride 32), batch norm
in training mode and the mean of its last map as loss. Both steps are compiled once, run by turns
on the same random images, and compared by their medians. Prints one JSON line.
"""

import dataclasses
import json
import statistics
import time

import tensorflow as tf
from absl import app, flags
from detector import compiled, random_batch

from lhrcnn import config as configs
from lhrcnn.keras import keras
from lhrcnn.models.build import build_backbone

flags.DEFINE_string(
    "config", "configs/light_head_mobilenet_v2_voc07_144.yaml", "the detector's config"
)
flags.DEFINE_integer("batch_size", 8, "images per step", lower_bound=1)
flags.DEFINE_integer("rounds", 15, "timed steps of each, by turns", lower_bound=3)


def backbone_step(config):
    """A function batch -> loss that trains the bare backbone once."""
    model = build_backbone(
        dataclasses.replace(config.model.backbone, out_stride=32, batch_norm="train")
    ).model
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9, jit_compile=False)

    @tf.function
    def step(batch):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(
                model(tf.cast(batch["image"], tf.float32) / 128 - 1, training=True)["c5"]
            )
        variables = list(model.trainable_variables)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    return step


def milliseconds(step, batch):
    """Wall time of one step."""
    start = time.perf_counter()
    tf.nest.map_structure(lambda value: value.numpy(), step(batch))
    return 1000 * (time.perf_counter() - start)


def main(_):
    """Times both steps by turns and prints their medians and ratio."""
    config = configs.load(flags.FLAGS.config, ["model.backbone.weights="])
    batch = random_batch(flags.FLAGS.batch_size, *config.data.stretch_size)
    steps = {
        "backbone": backbone_step(config),
        "detector": tf.function(compiled(config).train_step),
    }
    for step in steps.values():
        for _ in range(3):
            milliseconds(step, batch)
    times = {name: [] for name in steps}
    for _ in range(flags.FLAGS.rounds):
        for name, step in steps.items():
            times[name].append(milliseconds(step, batch))
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(
        json.dumps(
            {
                "config": flags.FLAGS.config,
                "batch_size": flags.FLAGS.batch_size,
                **{f"{name}_ms": round(value, 1) for name, value in medians.items()},
                "ratio": round(medians["detector"] / medians["backbone"], 2),
            }
        )
    )


if __name__ == "__main__":
    app.run(main)

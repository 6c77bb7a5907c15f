"""Size and time of the models behind the public checkpoints of `lhrcnn zoo`, into its table.

    python benchmarks/zoo.py [--rounds 3] [--table lhrcnn/zoo/public.tsv]

MB are those of the weights as float32. The time is that of detection in an image of 480 x 640 px,
resized as the model wants it, as a multiple of the first model's, by turns with it; weights are
random. Rows whose models are the same are timed once.
"""

import pathlib

import measure
import numpy as np
import tensorflow as tf

from lhrcnn import config as configs
from lhrcnn.config.shipped import find_config
from lhrcnn.data import images
from lhrcnn.models.build import build_detector
from lhrcnn.runs import public

SIZE = (480, 640)


def config_of(model):
    """The Config of a PublicModel."""
    changes = [*model.changes.split(), "model.backbone.weights="]
    return configs.load(find_config(model.config), changes)


def detection(config):
    """(function () -> ms of detection in an image, MB of the weights) of a Config's detector."""
    detector, data = build_detector(config, 80), config.data
    size = np.array([int(side) for side in images.resized_size(*SIZE, data)])
    canvas = images.own_canvas(size, data)
    image = tf.random.stateless_uniform([1, *canvas, 3], [0, 0], 0, 255)
    arguments = image, tf.constant([size], tf.float32)
    weights = detector.named_variables().values()
    return (
        measure.timed(tf.function(detector.detect), *arguments),
        sum(variable.shape.num_elements() for variable in weights) * 4e-6,
    )


def main():
    arguments = measure.parse(__doc__, rounds=3, table=str(public.TABLE))
    models = public.models()
    first, _ = detection(config_of(next(iter(models.values()))))  # 1, but for noise
    known, rows = {}, []
    for model in models.values():
        config = config_of(model)
        # a loss, or how its training goes, changes nothing here
        key = repr((config.model, images.evaluation_short_side(config.data)))
        key = key.replace(repr(config.model.head.box_loss), "")
        if key not in known:
            case, megabytes = detection(config)
            times = measure.by_turns({"it": case, "first": first}, arguments.rounds, 1)
            known[key] = f"{megabytes:.0f}", f"{measure.ratio(times, 'it', 'first'):.2f}"
        megabytes, time = known[key]
        rows.append(model._replace(megabytes=megabytes, time=time))
    path = pathlib.Path(arguments.table)
    head = path.read_text(encoding="utf-8").partition(f"{rows[0].name}\t")[0]
    path.write_text(head + "".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    report = measure.Report("The models of the public checkpoints, against the first", arguments)
    report.table(("name", "MB", "time"), [(row.name, row.megabytes, row.time) for row in rows])
    report.finish()


if __name__ == "__main__":
    main()

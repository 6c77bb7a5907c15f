"""Small inputs for the tests of readers: images of 80 x 100 px (height x width), and texts."""

import json

from data.samples import options, save_image

from lhrcnn.choices import resolve
from lhrcnn.data.readers import READERS


def images(folder, *names, size=(80, 100)):
    """Draws images of these paths below a folder."""
    for name in names:
        save_image(folder / name, *size)


def write(folder, files):
    """Writes {path: text, or what is to be JSON}."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))


def read(format_, folder, split="*", *overrides, training=False):
    """The `Dataset` of a reader."""
    config = options(folder, f"format={format_}", *overrides)
    return resolve(READERS[format_])(config, split, training)


def seen(dataset):
    """{file name: [(class, ymin, xmin, ymax, xmax)]}, ignored objects have a "!"."""
    return {
        record.path.rpartition("/")[2]: [
            (dataset.class_names[k] + "!" * bool(ignored), *box)
            for k, ignored, box in zip(
                record.classes, record.ignore, record.boxes.astype(float).round(3).tolist()
            )
        ]
        for record in dataset.records
    }


def kinds(dataset):
    """The kinds of a data set's problems, in their order."""
    return [problem.kind for problem in dataset.problems]

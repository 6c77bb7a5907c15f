"""`lhrcnn predict` of many images, drawing off, against one image after the other.

    python benchmarks/predict.py [--images FOLDER] [--number 500] [--rounds 3]

By default parts of docs/cat.jpg in sizes from 160 to 1000 px, as JPEG files. Both ways find the
same: their largest difference is printed too.
"""

import pathlib
import tempfile

import measure
import numpy as np
from PIL import Image

LEAST = 2.0  # times the images/s of one after the other


def make_images(folder, number, sides=(160, 1000)):
    """Writes JPEG files with heights and widths between two sides, px."""
    photo = Image.open(pathlib.Path(__file__).parents[1] / "docs" / "cat.jpg").convert("RGB")
    rng = np.random.default_rng(0)
    for index in range(number):
        size = tuple(int(side) for side in rng.integers(*sides, 2))
        left, top = rng.uniform(0, 0.4, 2)
        box = [left * photo.width, top * photo.height, photo.width, photo.height]
        photo.resize(size, box=box).save(folder / f"{index:04d}.jpg", quality=90)


def main():
    arguments = measure.parse(__doc__, rounds=3, images="", number=500, run_dir="")
    import lhrcnn
    from lhrcnn.files import Output
    from lhrcnn.inference.collecting import Collector
    from lhrcnn.inference.sources import find_sources, output_names

    detector = (
        lhrcnn.Detector.from_run(arguments.run_dir)
        if arguments.run_dir
        else lhrcnn.Detector.from_pretrained()
    )
    report = measure.Report("Prediction of many images", arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if not arguments.images:
            make_images(folder, arguments.number)
        paths = find_sources([arguments.images or name]).images[: arguments.number]
        found = {}

        def one_by_one():
            found["one by one"] = [detector.predict(path).above(0.5) for path in paths]

        def together():
            collector = Collector(detector, Output(folder / "out"), 0.5, draw=False)
            pairs = collector.detect_images(paths, output_names(paths, ".jpg"))
            found["predict"] = [one for _, one in pairs]

        cases = {"one by one": measure.timed(one_by_one), "predict": measure.timed(together)}
        times = measure.by_turns(cases, arguments.rounds, warm_up=1)
    report.table(
        (f"{len(paths)} images", "images/s"),
        [(name, 1e3 * len(paths) / measure.median(times[name])) for name in cases],
    )
    differences = [
        float(np.abs(one.boxes - other.boxes).max(initial=0)) if one.names == other.names else 1e9
        for one, other in zip(*found.values())
    ]
    report.check("largest difference of a box, px", max(differences), 0.1)
    report.check(
        "images/s, times one by one", measure.ratio(times, "one by one", "predict"), LEAST, True
    )
    report.finish()


if __name__ == "__main__":
    main()

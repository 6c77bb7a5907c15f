"""A run as it predicts, and as it was exported: one image of the run's own size, by turns.

Medians of the whole call from pixels to detections, and their ratios to the predictor's. 8 bits
are calibrated on images of `--calibrate`, a split of `--data_dir`; without it they are left out.

    python benchmarks/export.py [--run_dir light_head_mobilenet_v2_voc07_144] [--rounds 100]
        [--data_dir VOCdevkit] [--calibrate VOC2007/trainval]
"""

import importlib.util
import pathlib
import tempfile

import measure

MOST = 0.6  # of the predictor's time


def main():
    arguments = measure.parse(
        __doc__, rounds=100, run_dir="light_head_mobilenet_v2_voc07_144", data_dir="", calibrate=""
    )
    import numpy as np

    from lhrcnn import cli
    from lhrcnn.inference.export import EXPORTS
    from lhrcnn.inference.export.exported import ExportedDetector
    from lhrcnn.inference.predictor import Detector

    report = measure.Report("Exported forms", arguments)
    detector = Detector.from_run(arguments.run_dir)
    with tempfile.TemporaryDirectory() as folder:
        models = {}
        for name, entry in EXPORTS.items():
            if not all(map(importlib.util.find_spec, (*entry.needs, *entry.runs_with))):
                continue
            words = [f"--run_dir={arguments.run_dir}", f"--format={name}"]
            models[name] = [*words, f"--output={pathlib.Path(folder, name)}"]
            if entry.int8 and arguments.calibrate:
                more = [f"--data_dir={arguments.data_dir}", f"--calibrate={arguments.calibrate}"]
                output = f"--output={pathlib.Path(folder, name + '_int8')}"
                models[f"{name}_int8"] = [*words, *more, "--int8", output]
        for words in models.values():
            if cli.main(["export", *words]):
                raise SystemExit(1)
        exported = {name: ExportedDetector(pathlib.Path(folder, name)) for name in models}
        size = next((each.fixed_size for each in exported.values() if each.fixed_size), (144, 144))
        image = np.random.default_rng(0).integers(0, 256, [*size, 3]).astype(np.uint8)
        cases = {"predictor": measure.timed(detector.predict, image)}
        for name, model in exported.items():
            cases[name] = measure.timed(model.predict, image)
        times = measure.by_turns(cases, arguments.rounds)
        sizes = {
            name: sum(path.stat().st_size for path in pathlib.Path(folder, name).rglob("*.*")) / 1e6
            for name in models
        }
    medians = {name: measure.median(values) for name, values in times.items()}
    report.table(
        (f"one image, {size[0]}x{size[1]} px", "ms", "of the predictor", "MB"),
        [
            (name, value, value / medians["predictor"], sizes.get(name, 0.0))
            for name, value in medians.items()
        ],
    )
    best = min(value for name, value in medians.items() if name != "predictor")
    report.check("best export, of the predictor", best / medians["predictor"], MOST)
    report.finish()


if __name__ == "__main__":
    main()

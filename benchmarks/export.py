"""A run as it predicts, and as it was exported: one image, by turns.

Medians of the whole call from pixels to detections, and their ratios to the predictor's in float32.
8 bits are calibrated on images of `--calibrate`, a split of `--data_dir`, which holds VOC 2007;
without it they are left out. `--config` in the place of `--run_dir`: a shipped config with random
weights and 80 classes, calibrated on 8 images. `--peer`: torchvision's FasterRCNN over that
network, compiled, in bfloat16, takes its turns.

    python benchmarks/export.py [--run_dir light_head_mobilenet_v2_voc07_144] [--rounds 100]
        [--config faster_rcnn_resnet50_fpn_coco_torchvision] [--size 800x1200] [--most 0.33]
        [--data_dir VOCdevkit] [--calibrate VOC2007/train] [--formats onnx,openvino]
        [--peer resnet50] [--peer_python .venv-peers/bin/python]
"""

import contextlib
import importlib.util
import json
import pathlib
import sys
import tempfile

import measure

PEER = "torchvision, compiled, bfloat16"


def main():
    arguments = measure.parse(
        __doc__,
        rounds=100,
        run_dir="light_head_mobilenet_v2_voc07_144",
        config="",
        size="",
        most=0.6,
        data_dir="",
        calibrate="",
        formats="",
        peer="",
    )
    import numpy as np

    from lhrcnn.inference.predictor import Detector

    report = measure.Report("Exported forms", arguments)
    with tempfile.TemporaryDirectory() as folder:
        run_dir = arguments.run_dir
        if arguments.config:
            run_dir = random_run(arguments.config, pathlib.Path(folder, "run"))
        exported, sizes = export_all(run_dir, arguments, folder)
        size = next((each.fixed_size for each in exported.values() if each.fixed_size), (144, 144))
        image = np.random.default_rng(0).integers(0, 256, [*size, 3]).astype(np.uint8)
        cases = {"predictor": measure.timed(Detector.from_run(run_dir).predict, image)}
        for name, model in exported.items():
            cases[name] = measure.timed(model.predict, image)
        if arguments.peer:
            made = [arguments.peer, *size, 1, "mixed_bfloat16", "compiled"]
            peer = measure.Peer(arguments.peer_python, "faster_rcnn", arguments.threads, *made)
            cases[PEER] = peer.case("inference")
        times = measure.by_turns(cases, arguments.rounds)
        if arguments.peer:
            peer.close()
    medians = {name: measure.median(values) for name, values in times.items()}
    report.table(
        (f"one image, {size[0]}x{size[1]} px", "ms", "of the predictor", "MB"),
        [
            (name, value, measure.ratio(times, name, "predictor"), sizes.get(name, ""))
            for name, value in medians.items()
        ],
    )
    for name in [name for name in exported if name in ("onnx", "openvino")]:
        ratio = measure.ratio(times, name, "predictor")
        report.check(f"{name} in float32, of the predictor", ratio, 1.05)
    best = min(exported, key=medians.get)
    ratio = measure.ratio(times, best, "predictor")
    report.check(f"best export ({best}), of the predictor", ratio, arguments.most)
    if arguments.peer:
        report.check(f"{best}, of {PEER}", measure.ratio(times, best, PEER), 0.45)
    report.finish()


def export_all(run_dir, arguments, folder):
    """({name: ExportedDetector}, {name: MB}) of all forms whose packages are installed."""
    from lhrcnn import cli
    from lhrcnn.commands import export
    from lhrcnn.inference.export import EXPORTS
    from lhrcnn.inference.export.exported import ExportedDetector

    if arguments.config:
        export.IMAGES = 8
    exported, sizes = {}, {}
    for form in arguments.formats.split(",") if arguments.formats else EXPORTS:
        entry = EXPORTS[form]
        if not all(map(importlib.util.find_spec, (*entry.needs, *entry.runs_with))):
            continue
        words = ["export", f"--run_dir={run_dir}", f"--format={form}", f"--size={arguments.size}"]
        kinds = {form: []}
        split = [f"--data_dir={arguments.data_dir}", f"--calibrate={arguments.calibrate}"]
        if entry.int8 == "input":
            kinds[f"{form} int8"] = ["--int8"]
        elif entry.int8 and arguments.calibrate:
            kinds[f"{form} int8"] = ["--int8", *split]
        for name, more in kinds.items():
            output = pathlib.Path(folder, name.replace(" ", "_"))
            with contextlib.redirect_stdout(sys.stderr):
                status = cli.main([*words, *more, f"--output={output}"])
            if status:
                raise SystemExit(status)
            exported[name] = ExportedDetector(output)
            if form == "openvino":
                exported[f"{name} bfloat16"] = ExportedDetector(output, "bfloat16")
            sizes[name] = sum(path.stat().st_size for path in output.rglob("*.*")) / 1e6
    return exported, sizes


def random_run(name, folder):
    """A run directory of a shipped config with random weights."""
    from lhrcnn import config as configs
    from lhrcnn.models.build import build_detector
    from lhrcnn.runs import checkpoints, state

    config = configs.load(f"configs/{name}.yaml", ["model.backbone.weights=", "data.format=voc"])
    arrays = state.model_arrays(build_detector(config, 80))
    (folder / "checkpoints").mkdir(parents=True)
    configs.save(config, folder / "config.yaml")
    classes = {"names": [str(k) for k in range(80)], "category_ids": list(range(80))}
    (folder / "classes.json").write_text(json.dumps(classes), encoding="utf-8")
    checkpoints.CheckpointStore(folder).save(arrays, {"step": 0})
    return str(folder)


if __name__ == "__main__":
    main()

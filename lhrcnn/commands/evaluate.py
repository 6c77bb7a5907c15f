"""`lhrcnn eval`."""

import pathlib
import re

from lhrcnn import commands, config
from lhrcnn.commands import bulk, report
from lhrcnn.errors import UsageError
from lhrcnn.evaluation.metrics import METRICS
from lhrcnn.runs.directory import RunDirectory

FLAGS = (
    *commands.RUN,
    *commands.MODEL,
    commands.ENSEMBLE,
    commands.DATA_DIR,
    commands.split_flag("images to evaluate on", "test_split"),
    commands.several(
        "metrics",
        [],
        f"of {', '.join(METRICS)} and those of plugins, separated by commas or repeated; none: the "
        "config's eval.metrics",
    ),
    *commands.output_flags("", "JSON file for the metrics; none: RUN_DIR/eval/SPLIT.json"),
    commands.text(
        "shard",
        "",
        "i/n: detect in the i-th of n shares of the images only, from 1 on; then --merge",
    ),
    commands.integer(
        "merge", 0, "score the n shares that --shard i/n left, once all are there", lower_bound=0
    ),
    commands.switch(
        "report", False, "write RUN_DIR/report/SPLIT.html too, as `lhrcnn report` does"
    ),
    commands.text(
        "detections", "", "COCO result file to score instead of a run; needs --annotations"
    ),
    commands.text("annotations", "", "COCO annotation file that --detections is scored against"),
    *commands.TILES,
    *bulk.FLAGS,
    commands.SET,
)


def run(values):
    """Scores a run, an exported model or a file of detections; prints and writes the metrics."""
    commands.check_pairs(values)
    bulk.check(values, "detections", "annotations", "shard", "merge")
    more = [f"eval.metrics=[{', '.join(values.metrics)}]"] if values.metrics else []
    if values.detections or values.annotations:
        _score_files(values, config.load(None, [*values["set"].value, *more]).eval)
    elif values.model:
        _evaluate_exported(values, more)
    else:
        _evaluate_run(values, more)


def _evaluate_exported(values, more):
    if values.runner:
        commands.require(values, "output", "metrics.json")
    write = commands.file_output(values)
    detector = commands.exported_detector(values, "ensemble", "shard", "merge", "report")

    import statistics

    from lhrcnn.evaluation.detect import detect_images
    from lhrcnn.evaluation.scoring import score
    from lhrcnn.evaluation.tables import format_tables, to_json
    from lhrcnn.inference.predictor import LoadedRun

    settings = config.changed(detector.config, [*values["set"].value, *more])
    names, ids = detector.class_names, detector.category_ids
    about = detector.meta, detector.name, detector.held_out
    trained = LoadedRun(None, settings, names, ids, *about)
    dataset, experiment, split = commands.dataset_of_run(trained, values)
    if values.runner:
        detections = bulk.detections(values, detector, dataset, pathlib.Path(values.output))
    else:
        detections = detect_images(commands.tiled(detector, values), dataset)
    metrics = score(dataset, detections, experiment.eval)
    print(format_tables(metrics))
    facts = {
        "model": values.model,
        "step": detector.meta["step"],
        "runtime": detector.runtime,
        "ms_per_image": round(1e3 * statistics.median(detector.seconds or [0]), 2),
        "split": split,
        "images": len(dataset.records),
    }
    print(
        f"\nstep {facts['step']} in {values.model}: {facts['images']} images, {len(detections)} "
        f"detections\n{detector.runtime}: {facts['ms_per_image']:.1f} ms per image, the median, "
        "without reading and resizing"
    )
    write(to_json({**facts, **metrics}), "metrics")


def _score_files(values, options):
    of_models = "run_dir checkpoint model ensemble data_dir split shard merge report tiles".split()
    unused = [name for name in of_models if values[name].present]
    if unused:
        raise UsageError(
            f"--{unused[0]} has no meaning beside --detections and --annotations; give one or the "
            "other"
        )
    truth = commands.require(values, "annotations", "instances_val.json")
    detections = commands.require(values, "detections", "results.json")
    write = commands.file_output(values, inputs=[truth, detections])

    from lhrcnn.evaluation.scoring import score_files
    from lhrcnn.evaluation.tables import format_tables, to_json

    metrics = score_files(truth, detections, options)
    print(format_tables(metrics))
    content = {"annotations": truth, "detections": detections, **metrics}
    write(to_json(content), "\nmetrics")


def _evaluate_run(values, more):
    run_dir = commands.require(values, "run_dir", "runs/shapes")
    shard, overrides = _shard(values), commands.overrides_of_run(values, *more)

    from lhrcnn.evaluation import of_run
    from lhrcnn.evaluation.scoring import score
    from lhrcnn.evaluation.tables import format_tables

    trained, strategy = commands.loaded_run(values, run_dir, overrides, values.ensemble)
    dataset, experiment, split = commands.dataset_of_run(trained, values)
    run = RunDirectory(run_dir)
    of_split = run.evaluation(split, f"tiles_{values.tiles}" if values.tiles else "")
    output = pathlib.Path(values.output or of_split)
    beside = of_run.beside_metrics(output)
    written = commands.output_of(values, output.parent, of_run=not values.output)
    written.check(output.name, beside.name)
    if shard:
        _detect_share(trained, dataset, experiment, strategy, shard, output, written)
        return
    detections = _detections(values, trained, dataset, experiment, strategy, output)
    metrics = score(dataset, detections, experiment.eval)
    print(format_tables(metrics))
    about = of_run.about(run_dir, trained, dataset, split, values.ensemble)
    if values.tiles:
        about["tiles"] = [values.tiles, values.overlap, values.tile_merge]
    of_run.save(written, output, about, dataset, metrics, detections)
    print(
        f"\nstep {about['step']} of {run_dir}: {len(dataset.records)} images, "
        f"{len(detections)} detections\n"
        f"metrics     {output}\ndetections  {beside}"
    )
    if values.report:
        pages = commands.output_of(values, run.reports, of_run=True)
        report.write(pages, of_split.stem, trained, dataset, experiment, detections, metrics, about)


def _detections(values, trained, dataset, experiment, strategy, output):
    """The Detections in all images of a Dataset."""
    from lhrcnn.evaluation.detect import detect_dataset, detect_images
    from lhrcnn.inference.predictor import Detector

    if values.merge:
        return _merged(trained, dataset, experiment, values.merge, output)
    if values.runner:
        return bulk.detections(values, Detector(trained), dataset, output)
    if values.tiles:
        return detect_images(commands.tiled(Detector(trained), values), dataset)
    return detect_dataset(trained.model, dataset, experiment, strategy)


def _detect_share(trained, dataset, experiment, strategy, shard, output, written):
    """Writes the detections in one of n shares of the images, for `_merged`."""
    from lhrcnn.evaluation import shards
    from lhrcnn.evaluation.detect import detect_dataset

    part, path = shards.share_of(dataset, *shard), _share_path(output, *shard)
    if not part.records:
        raise UsageError(
            f"--shard={shard[0]}/{shard[1]}: there are only {len(dataset.records)} images to share"
        )
    identity = shards.fingerprint(trained.model.named_variables(), experiment, dataset)
    with written.writing(path.name) as file:
        detections = detect_dataset(trained.model, part, experiment, strategy)
        shards.save(file, detections, part, identity)
    print(
        f"{len(part.records)} of {len(dataset.records)} images  {path}\n"
        f"next     lhrcnn eval with --merge {shard[1]} instead of --shard, once all are there"
    )


def _merged(trained, dataset, experiment, number, output):
    """The detections of all shares."""
    from lhrcnn.evaluation import shards

    identity = shards.fingerprint(trained.model.named_variables(), experiment, dataset)
    paths = [_share_path(output, index, number) for index in range(1, number + 1)]
    return shards.merge(paths, dataset, identity)


def _share_path(output, index, number):
    return output.with_name(f"{output.stem}_shard_{index}_of_{number}.npz")


def _shard(values):
    """(i, n) of --shard, None without. Raises UsageError."""
    if values.tiles and (values.shard or values.merge):
        raise UsageError("--tiles: shares of an evaluation are without tiles; leave one of them")
    if not values.shard:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", values.shard)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--shard={values.shard}: expected i/n with i from 1 to n, such as 2/4")
    if values.merge or values.report:
        raise UsageError(
            "--shard makes one share; --merge, and --report with it, come once all are there: give "
            "one of them"
        )
    return int(match[1]), int(match[2])


COMMAND = commands.Command("evaluate a run, or detections made elsewhere, once", FLAGS, run)

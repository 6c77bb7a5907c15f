"""--runner beam of `lhrcnn predict` and `lhrcnn eval`."""

import sys

from lhrcnn import commands
from lhrcnn.commands import hints
from lhrcnn.errors import UsageError

_OF_DETECTOR = ("run_dir", "checkpoint", "ensemble", "model", "precision")
_OF_TILES = ("tiles", "overlap", "tile_merge")
_SHOWN = 10  # images that could not be used


FLAGS = (
    commands.choice(
        "runner",
        None,
        ["beam"],
        "beam: detect by an Apache Beam pipeline, in shards that a restart goes on from; none: in "
        "this process",
    ),
    commands.text(
        "beam_options",
        "",
        "options of Beam in one text, such as '--runner=FlinkRunner --flink_master=host:8081'; "
        "none: Beam's local runner",
    ),
)


def check(values, *unused):
    """Raises UsageError for --beam_options that are none, or stand alone, and for flags of `unused`
    beside --runner; DependencyError where Beam is not installed."""
    if not values.runner and values.beam_options:
        raise UsageError("--beam_options has a meaning only with --runner beam")
    given = [name for name in unused if values[name].value] if values.runner else []
    if given:
        raise UsageError(f"--{given[0]} has no meaning beside --runner beam; leave one of them")
    if values.runner:
        from lhrcnn.inference import beam

        beam.parse(values.beam_options)


def predict(values, arguments, open_detector):
    """`lhrcnn predict --runner beam` with the detector open_detector(values): no image is drawn."""
    from lhrcnn.inference import bulk, sources

    given = sources.find_sources(arguments, values.output, hints.image)
    if given.videos:
        raise UsageError(f"{given.videos[0]}: --runner beam takes images, and this is a video")
    for message in given.failures:
        print(f"lhrcnn: {message}", file=sys.stderr)
    if not given.images:
        raise UsageError("no image to detect in: nothing was started")
    members = [one for one in given.images if isinstance(one, sources.TarMember)]
    if values.tiles and members:
        raise UsageError(f"{members[0].archive}: --tiles reads image files, not archives")
    inputs = {getattr(one, "archive", one) for one in given.images}
    output = commands.output_of(values, values.output, inputs=inputs)
    output.check(bulk.DETECTIONS, bulk.FAILED)
    detector = open_detector(values)
    job = _done(values, detector, output, given.images, values.score_threshold)
    names, ids = detector.class_names, detector.category_ids
    images, boxes, errors = bulk.collect(job, output, names, ids)
    for error in errors[:_SHOWN]:
        print(f"lhrcnn: {error}", file=sys.stderr)
    print(
        f"{images} images, {boxes} detections with a score of at least {values.score_threshold}\n"
        f"detections          {output.folder / bulk.DETECTIONS}\n"
        f"by shards           {output.folder / bulk.SHARDS}"
    )
    if errors:
        print(
            f"lhrcnn: {len(errors)} of {images + len(errors)} images could not be used; "
            f"{output.folder / bulk.FAILED} lists them",
            file=sys.stderr,
        )
    return 1 if errors or given.failures else 0


def detections(values, detector, dataset, metrics):
    """The `Detections` of `lhrcnn eval --runner beam`, whose metrics go to the path `metrics`."""
    from lhrcnn.evaluation.detections import from_results
    from lhrcnn.files import Output

    output = Output(metrics.with_name(f"{metrics.stem}_beam"), overwrite=values.overwrite)
    paths = [record.path for record in dataset.records]
    job = _done(values, detector, output, paths, 0.0)
    return from_results(dataset, job.results())


def _done(values, detector, output, images, threshold):
    """The bulk.Job on images, with results of all its shards."""
    from lhrcnn.inference import beam, bulk

    given = {name: values[name].value for name in (*_OF_DETECTOR, *_OF_TILES)}
    given["ensemble"] = tuple(given["ensemble"])
    given["overrides"] = tuple(values["set"].value)
    kind = bulk.DetectorFlags(**given)
    job = bulk.start(output, images, bulk.about(kind, detector), threshold)
    number, total = len(job.missing), len(job.shards)
    print(f"shards to do: {number} of {total}, in {output.folder / bulk.SHARDS}", flush=True)
    beam.run(job, kind, commands.tiled(detector, values), values.beam_options)
    return job

"""`lhrcnn predict`."""

import json
import sys
import time

from lhrcnn import commands
from lhrcnn.choices import resolve
from lhrcnn.commands import bulk, hints
from lhrcnn.errors import LhrcnnError, UsageError
from lhrcnn.inference import SAVES
from lhrcnn.runs import zoo

DETECTIONS = "detections.json"
OTHERS = "of 80 classes, COCO's: --run_dir fasterrcnn_resnet50_fpn, or another of `lhrcnn zoo`"


FLAGS = (
    *commands.RUN,
    *commands.MODEL,
    commands.ENSEMBLE,
    *commands.output_flags(
        "predictions", "folder for annotated images and videos, and detections.json"
    ),
    commands.number(
        "score_threshold",
        0.5,
        "detections below are neither drawn nor written",
        lower_bound=0,
        upper_bound=1,
    ),
    commands.switch("no_draw", False, "write no annotated images"),
    commands.switch("frames", False, "write annotated frames of videos, not a video"),
    commands.several(
        "save",
        [],
        f"write the detections in more forms, of {', '.join(SAVES)}, separated by commas or "
        "repeated; those of annotation tools with copies of the images",
    ),
    *commands.TILES,
    *bulk.FLAGS,
    commands.SET,
)


def run(values, arguments):
    """Detects in images and videos, draws what was found, and writes it as COCO-style JSON.

    Status 1 if an input could not be used."""
    if not arguments:
        raise UsageError(
            "name images, folders, videos or the number of a camera, as in `lhrcnn predict "
            "photo.jpg --run_dir runs/shapes`"
        )
    commands.check_pairs(values)
    bulk.check(values, "frames", "save")
    if values.runner:
        _take_default(values)
        return bulk.predict(values, arguments, _detector)
    from lhrcnn.inference import saving, sources

    given = sources.find_sources(arguments, values.output, hints.image)
    for message in given.failures:
        print(f"lhrcnn: {message}", file=sys.stderr)
    if not (given.images or given.videos):
        return 1
    names, films, output = _places(values, given)
    by_default = _take_default(values)
    if not values.model:
        commands.overrides_of_run(values)  # imports plugins, which may add to SAVES
    formats = saving.check_names(values.save, bool(given.videos))
    detector = _detector(values)

    from lhrcnn.inference.collecting import Collector

    print(_about(values.model or values.run_dir, detector, values.ensemble))
    if by_default:
        print(f"       {OTHERS}")
    threshold, draw = values.score_threshold, not values.no_draw
    collector = Collector(commands.tiled(detector, values), output, threshold, draw, values.frames)
    failures = given.failures + _detect(collector, given, names, films)
    if failures and not collector.found:
        print("lhrcnn: no input could be used: nothing is written", file=sys.stderr)
        return 1
    _write(collector, output, threshold, formats, detector)
    number = len(given.images) + len(given.videos) + len(given.failures)
    if failures:
        print(f"lhrcnn: {len(failures)} of {number} inputs could not be used", file=sys.stderr)
    return 1 if failures else 0


def _places(values, given):
    """(names of the annotated images, of the videos, the Output for them), which may be written."""
    from lhrcnn.inference import sources

    archives = {one.archive for one in given.images if isinstance(one, sources.TarMember)}
    if archives:
        raise UsageError(f"{min(archives)}: an archive is for --runner beam; unpack it")
    names = sources.output_names(given.images, ".jpg")
    films = sources.output_names(given.videos, ".mp4", names)
    output = commands.output_of(values, values.output, inputs=given.files)
    drawn = [] if values.no_draw else [*names, *([] if values.frames else films)]
    output.check(*drawn, DETECTIONS)
    return names, films, output


def _write(collector, output, threshold, formats, detector):
    """Writes the detections, and in the formats of --save, and says where they are."""
    content = json.dumps(collector.content(), ensure_ascii=False, indent=1)
    written = output.write(DETECTIONS, content)
    _report(collector, output, written, threshold)
    classes = detector.class_names, detector.category_ids
    for name in formats:
        print(f"{name:<19} {resolve(SAVES[name])(collector.found, classes, output)}")


def _take_default(values):
    """Whether no model was named, so that the package's own is taken."""
    by_default = not values.run_dir and not values.model and zoo.DEFAULT in zoo.names()
    if by_default:
        values.run_dir = zoo.DEFAULT
    elif not values.model:
        commands.require(values, "run_dir", "runs/shapes")
    return by_default


def _detector(values):
    """The Detector of --run_dir, or the ExportedDetector of --model."""
    if values.model:
        return commands.exported_detector(values, "ensemble", "set")
    overrides = commands.overrides_of_run(values)

    from lhrcnn.inference.predictor import Detector, load_run

    return Detector(load_run(values.run_dir, values.checkpoint, overrides, values.ensemble))


def _detect(collector, given, names, films):
    """Detects in all `sources.Sources`, a line for each; returns what could not be used."""
    failures, start, total = [], time.monotonic(), len(given.images)
    for number, (path, found) in enumerate(collector.detect_images(given.images, names), 1):
        if isinstance(found, Exception):
            failures.append(found)
            print(f"lhrcnn: {found}", file=sys.stderr)
            continue
        shown = [f"{name} {score:.2f}" for name, score in zip(found.names, found.scores)]
        left = (time.monotonic() - start) * (total - number) / number
        lead = f"[{number} of {total}, {left:.0f} s left] " if total > 1 else ""
        print(f"{lead}{path}: {', '.join(shown) or 'nothing'}")
    for source, name in zip(given.videos, films):
        try:
            frames = collector.detect_video(source, name)
            print(f"{source}: {frames} frames")
        except LhrcnnError as error:
            failures.append(error)
            print(f"lhrcnn: {error}", file=sys.stderr)
    return failures


def _report(collector, output, written, threshold):
    frames = sum(one.frame is not None for one in collector.found)
    images = f"{len(collector.found) - frames} images"
    detections = sum(len(one.prediction) for one in collector.found)
    print(
        f"\n{images}{f', {frames} frames' if frames else ''}, {detections} detections with a score "
        f"of at least {threshold}"
    )
    if collector.draw:
        print(f"annotated {'files' if frames else 'images'}  {output.folder}")
    print(f"detections          {written}")


def _about(run_dir, detector, ensemble):
    """A line on what model this is."""
    model, names = detector.config.model, detector.class_names
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    more = f", with {', '.join(ensemble)}" if ensemble else ""
    return (
        f"model: {run_dir}{more}: {model.head.kind} head on {model.backbone.name}, "
        f"{len(names)} classes: {shown}"
    )


COMMAND = commands.Command(
    "detect in images, folders, videos: annotated ones and a JSON file",
    FLAGS,
    run,
    positional="INPUT...",
)

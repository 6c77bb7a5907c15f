"""`lhrcnn predict`."""

import json
import pathlib
import sys

from absl import flags

from lhrcnn import commands
from lhrcnn.commands import hints
from lhrcnn.errors import LhrcnnError, UsageError
from lhrcnn.runs import zoo

DETECTIONS = "detections.json"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")


def define(values):
    """The flags of `lhrcnn predict`."""
    commands.define_run_flags(values)
    commands.define_model_flags(values)
    commands.define_ensemble_flag(values)
    commands.define_output_flags(
        values, "predictions", "folder for the annotated images and detections.json"
    )
    flags.DEFINE_float(
        "score_threshold",
        0.5,
        "detections below are neither drawn nor written",
        lower_bound=0,
        upper_bound=1,
        flag_values=values,
    )
    commands.define_set_flag(values)


def run(values, arguments):
    """Detects in images, draws what was found, and writes it as COCO-style JSON.

    Status 1 if an image could not be used."""
    if not values.run_dir and not values.model and zoo.DEFAULT in zoo.names():
        values.run_dir = zoo.DEFAULT
    run_dir = values.model or commands.require(values, "run_dir", "runs/shapes")
    if not arguments:
        raise UsageError(
            "name images or folders of images, as in `lhrcnn predict photo.jpg --run_dir "
            "runs/shapes`"
        )
    paths, failures = find_images(arguments)
    drawn_of = _drawn_names(paths)
    output = commands.output_of(values, values.output, inputs=paths)
    output.check(*drawn_of, DETECTIONS)
    detector = _detector(values)
    print(_about(run_dir, detector, values.ensemble))
    content, unusable = _detect(detector, zip(paths, drawn_of), output, values.score_threshold)
    written = output.write(DETECTIONS, json.dumps(content, ensure_ascii=False, indent=1))
    print(
        f"\n{len(content['images'])} images, {len(content['annotations'])} detections with a score "
        f"of at least {values.score_threshold}"
        f"\nannotated images  {output.folder}\ndetections          {written}"
    )
    failures += unusable
    if failures:
        number = len(paths) + len(failures) - len(unusable)
        print(f"lhrcnn: {len(failures)} of {number} inputs could not be used", file=sys.stderr)
    return 1 if failures else 0


def _detector(values):
    """The Detector of --run_dir, or the ExportedDetector of --model."""
    if values.model:
        return commands.exported_detector(values, "run_dir", "ensemble", "set")
    overrides = commands.overrides_of_run(values)

    from lhrcnn.inference.predictor import Detector, load_run

    return Detector(load_run(values.run_dir, values.checkpoint, overrides, values.ensemble))


def _about(run_dir, detector, ensemble):
    """A line on what model this is."""
    model, names = detector.config.model, detector.class_names
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    more = f", with {', '.join(ensemble)}" if ensemble else ""
    return (
        f"model: {run_dir}{more}: {model.head.kind} head on {model.backbone.name}, "
        f"{len(names)} classes: {shown}"
    )


def _detect(detector, paths, output, score_threshold):
    """(content of detections.json, messages about images that cannot be used) of (image, name of
    the annotated one) pairs; writes the annotated images."""
    from lhrcnn.inference.predictor import read_image
    from lhrcnn.inference.visualize import draw_detections

    names = detector.class_names
    categories = [{"id": i, "name": name} for i, name in zip(detector.category_ids, names)]
    images, annotations, failures = [], [], []
    for path, drawn in paths:
        try:
            image = read_image(path)
            found = detector.predict(image).above(score_threshold)
            annotated = draw_detections(
                image, found.boxes, found.names, found.scores, class_names=names
            )
            with output.writing(drawn) as file:
                annotated.save(file, "JPEG", quality=92)
        except (OSError, LhrcnnError) as error:
            failures.append(str(error))
            print(f"lhrcnn: {error}", file=sys.stderr)
            continue
        image_id, (height, width) = len(images) + 1, map(int, found.size)
        about = {"id": image_id, "file_name": str(path), "height": height, "width": width}
        images.append({**about, "annotated": drawn})
        for result in found.to_coco(image_id):
            annotations.append({"id": len(annotations) + 1, **result})
        shown = [f"{name} {score:.2f}" for name, score in zip(found.names, found.scores)]
        print(f"{path}: {', '.join(shown) or 'nothing'}")
    return {"images": images, "categories": categories, "annotations": annotations}, failures


def find_images(arguments):
    """(paths of images in the order of the arguments, folders being listed; messages about folders
    without any). Raises UsageError for what cannot be a file."""
    from lhrcnn.data.readers.lookup import is_hidden

    paths, failures = [], []
    for word in arguments:
        argument = pathlib.Path(word)
        hint = "" if argument.exists() else hints.image(word)
        if hint:
            raise UsageError(f"{word}: no such file; {hint}")
        if not argument.is_dir():
            paths.append(argument)
            continue
        inside = sorted(
            path
            for path in argument.iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(path.name)
        )
        if not inside:
            failures.append(
                f"{argument}: no image in this folder (looked for {', '.join(IMAGE_SUFFIXES)})"
            )
            print(f"lhrcnn: {failures[-1]}", file=sys.stderr)
        paths.extend(inside)
    return paths, failures


def _drawn_names(paths):
    """Names of the annotated images, numbered where an image of another folder has it already."""
    names = []
    for path in paths:
        name, number = f"{path.stem}.jpg", 1
        while name in names:
            number += 1
            name = f"{path.stem}_{number}.jpg"
        names.append(name)
    return names


COMMAND = commands.Command(
    "detect in images or folders: annotated images and a JSON file",
    define,
    run,
    positional="IMAGE...",
)

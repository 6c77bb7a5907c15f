"""`lhrcnn predict`."""

import json
import pathlib
import sys

from absl import flags

from lhrcnn import commands
from lhrcnn.errors import LhrcnnError, UsageError
from lhrcnn.runs import zoo

DETECTIONS = "detections.json"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")


def define(values):
    """The flags of `lhrcnn predict`."""
    commands.define_run_flags(values)
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
    """Detects in images, draws what was found, and writes it as COCO-style JSON; status 1 if an image could not be used."""
    run_dir = (
        zoo.DEFAULT
        if not values.run_dir and zoo.DEFAULT in zoo.names()
        else commands.require(values, "run_dir", "runs/shapes")
    )
    if not arguments:
        raise UsageError(
            "name images or folders of images, as in `lhrcnn predict photo.jpg --run_dir runs/shapes`"
        )
    paths, failures = find_images(arguments)
    num_inputs = len(paths) + len(failures)
    drawn_of = _drawn_names(paths)
    output = commands.output_of(values, values.output, inputs=paths)
    output.check(*drawn_of, DETECTIONS)

    from lhrcnn.inference.predictor import Detector, load_run, read_image
    from lhrcnn.inference.visualize import draw_detections

    detector = Detector(load_run(run_dir, values.checkpoint, values["set"].value, values.ensemble))
    categories = [
        {"id": i, "name": name} for i, name in zip(detector.category_ids, detector.class_names)
    ]
    content = {"images": [], "categories": categories, "annotations": []}
    for path, drawn in zip(paths, drawn_of):
        try:
            image = read_image(path)
            found = detector.predict(image).above(values.score_threshold)
            annotated = draw_detections(
                image, found.boxes, found.names, found.scores, class_names=detector.class_names
            )
            with output.writing(drawn) as file:
                annotated.save(file, "JPEG", quality=92)
        except (OSError, LhrcnnError) as error:
            failures.append(str(error))
            print(f"lhrcnn: {error}", file=sys.stderr)
            continue
        image_id = len(content["images"]) + 1
        height, width = map(int, found.size)
        content["images"].append(
            {
                "id": image_id,
                "file_name": str(path),
                "height": height,
                "width": width,
                "annotated": drawn,
            }
        )
        for result in found.to_coco(image_id):
            content["annotations"].append({"id": len(content["annotations"]) + 1, **result})
        print(
            f"{path}: {', '.join(f'{name} {score:.2f}' for name, score in zip(found.names, found.scores)) or 'nothing'}"
        )
    written = output.write(DETECTIONS, json.dumps(content, ensure_ascii=False, indent=1))
    print(
        f"\n{len(content['images'])} images, {len(content['annotations'])} detections with a score of at least {values.score_threshold}"
        f"\nannotated images  {output.folder}\ndetections          {written}"
    )
    if failures:
        print(f"lhrcnn: {len(failures)} of {num_inputs} inputs could not be used", file=sys.stderr)
    return 1 if failures else 0


def find_images(arguments):
    """(paths of images in the order of the arguments, folders being listed; messages about arguments that lead to none)."""
    paths, failures = [], []
    for argument in map(pathlib.Path, arguments):
        if not argument.is_dir():
            paths.append(argument)
            continue
        inside = sorted(
            path for path in argument.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES
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

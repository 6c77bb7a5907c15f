"""`lhrcnn predict`."""
import json
import pathlib
import sys

from absl import flags

from lhrcnn import commands, files, zoo

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")


def define(values):
    """The flags of `lhrcnn predict`."""
    commands.define_run_flags(values)
    commands.define_ensemble_flag(values)
    flags.DEFINE_string("output", "predictions", "folder for the annotated pictures and detections.json", flag_values=values)
    flags.DEFINE_float("score_threshold", 0.5, "detections below are neither drawn nor written", lower_bound=0, upper_bound=1,
                       flag_values=values)
    commands.define_set_flag(values)


def run(values, arguments):
    """Detects in pictures, draws what was found, and writes it as COCO-style JSON; status 1 if a picture could not be used."""
    run_dir = zoo.DEFAULT if not values.run_dir and zoo.DEFAULT in zoo.names() else commands.require(values, "run_dir", "runs/shapes")
    if not arguments:
        raise commands.UsageError("name pictures or folders of pictures, as in `lhrcnn predict photo.jpg --run_dir runs/shapes`")
    paths, failures = find_pictures(arguments)
    num_inputs = len(paths) + len(failures)
    output = pathlib.Path(values.output)
    files.check_writable(output)

    from lhrcnn.inference.predictor import Detector, load_run, read_picture
    from lhrcnn.inference.visualize import draw_detections
    detector = Detector(load_run(run_dir, values.checkpoint, values["set"].value, values.ensemble))
    categories = [{"id": i, "name": name} for i, name in zip(detector.category_ids, detector.class_names)]
    content = {"images": [], "categories": categories, "annotations": []}
    for path in paths:
        try:
            picture = read_picture(path)
            found = detector.predict(picture).above(values.score_threshold)
            drawn = _free_name(path.stem, taken={image["annotated"] for image in content["images"]})
            draw_detections(picture, found.boxes, found.names, found.scores, class_names=detector.class_names).save(output / drawn, quality=92)
        except (OSError, ValueError) as error:
            failures.append(str(error))
            print(f"lhrcnn: {error}", file=sys.stderr)
            continue
        image_id = len(content["images"]) + 1
        height, width = map(int, found.size)
        content["images"].append({"id": image_id, "file_name": str(path), "height": height, "width": width, "annotated": drawn})
        for result in found.to_coco(image_id):
            content["annotations"].append({"id": len(content["annotations"]) + 1, **result})
        print(f"{path}: {', '.join(f'{name} {score:.2f}' for name, score in zip(found.names, found.scores)) or 'nothing'}")
    (output / "detections.json").write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    print(f"\n{len(content['images'])} pictures, {len(content['annotations'])} detections with a score of at least {values.score_threshold}"
          f"\nannotated pictures  {output}\ndetections          {output / 'detections.json'}")
    if failures:
        print(f"lhrcnn: {len(failures)} of {num_inputs} inputs could not be used", file=sys.stderr)
    return 1 if failures else 0


def find_pictures(arguments):
    """(paths of pictures in the order of the arguments, folders being listed; messages about arguments that lead to none)."""
    paths, failures = [], []
    for argument in map(pathlib.Path, arguments):
        if not argument.is_dir():
            paths.append(argument)
            continue
        inside = sorted(path for path in argument.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
        if not inside:
            failures.append(f"{argument}: no picture in this folder (looked for {', '.join(PICTURE_SUFFIXES)})")
            print(f"lhrcnn: {failures[-1]}", file=sys.stderr)
        paths.extend(inside)
    return paths, failures


def _free_name(stem, taken):
    """The name of an annotated picture, numbered where a picture of another folder has it already."""
    name, number = f"{stem}.jpg", 1
    while name in taken:
        number += 1
        name = f"{stem}_{number}.jpg"
    return name


COMMAND = commands.Command("detect in pictures or folders: annotated pictures and a JSON file", define, run, positional="PICTURE...")

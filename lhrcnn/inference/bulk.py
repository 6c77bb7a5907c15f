"""Detection in many images shard by shard, each a file that appears whole, so that a restart does
only what is missing.

A folder has `images.jsonl`, a line per image; `plan.json`, what the results depend on; and
`shards/`, JSON Lines with what was found in `SHARD` images each, in their order.
"""

import dataclasses
import hashlib
import itertools
import json
import pathlib
import typing

from lhrcnn.errors import DataError, OutputError, UsageError
from lhrcnn.files import replacing
from lhrcnn.inference.prediction import coco_result
from lhrcnn.inference.sources import TarMember

SHARD = 256  # images
IMAGES, PLAN, SHARDS = "images.jsonl", "plan.json", "shards"
DETECTIONS, FAILED = "detections.json", "failed.jsonl"


class DetectorFlags(typing.NamedTuple):
    """The flags of a command that say what detects: enough for another process to open it."""

    run_dir: str = ""
    checkpoint: str = "best"
    overrides: tuple = ()
    ensemble: tuple = ()
    model: str = ""
    precision: str = "float32"
    tiles: int = 0
    overlap: float = 0.2
    tile_merge: str = "nms"

    def open(self):
        """The Detector, ExportedDetector or TiledDetector; errors are theirs."""
        from lhrcnn.inference.export.exported import ExportedDetector
        from lhrcnn.inference.predictor import Detector, load_run
        from lhrcnn.inference.tiles import tiled

        if self.model:
            detector = ExportedDetector(self.model, self.precision)
        else:
            run = load_run(self.run_dir, self.checkpoint, self.overrides, self.ensemble)
            detector = Detector(run)
        return tiled(detector, self.tiles, self.overlap, self.tile_merge)


def about(flags, detector):
    """{what: value} that results depend on: the `DetectorFlags`, and the weights themselves, since
    another training, or export, of the same name may have come since."""
    return {**flags._asdict(), "step": detector.meta["step"], "weights": detector.digest()}


class Shard(typing.NamedTuple):
    """Some of the images of a job."""

    path: str  # of its results
    images: str  # path of the file that lists the images of all shards
    start: int  # its first byte of this shard
    number: int  # of images


@dataclasses.dataclass(frozen=True)
class Job:
    """Images to detect in, and where the results go."""

    folder: pathlib.Path
    shards: list  # of Shard
    threshold: float  # of the scores that are kept

    @property
    def missing(self):
        """The shards that have no results yet."""
        return [shard for shard in self.shards if not pathlib.Path(shard.path).is_file()]

    def results(self):
        """Yields what was found in each image, in order: a dict as `Prediction.to_json` writes it,
        with file_name, or of file_name and error. Raises DataError for a damaged shard."""
        for shard in self.shards:
            try:
                with open(shard.path, encoding="utf-8") as file:
                    lines = [json.loads(line) for line in file]
            except (ValueError, RecursionError):
                lines = []
            if len(lines) != shard.number or not all(map(_is_result, lines)):
                raise DataError(
                    f"{shard.path}: not the results of {shard.number} images, as they were "
                    "written; delete it, and start the same command again"
                )
            yield from lines


def _is_result(line):
    """Whether a value of a shard is what `write` makes of an image."""
    wanted = ({"file_name", "error"}, {"file_name", "height", "width", "detections"})
    return isinstance(line, dict) and any(keys <= line.keys() for keys in wanted)


def start(output, images, about, threshold=0.0, size=SHARD):
    """The `Job` of a files.Output: the one that was begun there, where it is the same.

    images: paths, or sources.TarMembers; about: what `about` makes. Raises
    UsageError for no image, OutputError where the folder holds results of another job."""
    if not images:
        raise UsageError("no image to detect in: nothing was started")
    lines = [_as_line(image) for image in images]
    digest = hashlib.sha256(json.dumps([about, threshold, size], sort_keys=True).encode())
    for line in lines:
        digest.update(line)
    plan = json.dumps({"digest": digest.hexdigest(), "images": len(lines), **about}, indent=1)
    path, shards = output.folder / PLAN, output.folder / SHARDS
    if not path.is_file() or path.read_bytes() != plan.encode():
        if shards.is_dir() and any(shards.iterdir()):
            _give_up(output, shards)
        with output.writing(IMAGES) as file:
            file.writelines(lines)
        output.write(PLAN, plan)
    shards.mkdir(exist_ok=True)
    return Job(output.folder, _shards(output.folder, lines, size), threshold)


def _give_up(output, shards):
    """Deletes the results of another job, if they may be."""
    if not output.overwrite:
        raise OutputError(
            f"{shards}: holds results for other images, of another model or threshold; give "
            f"another {output.option}, or --overwrite to begin anew"
        )
    for file in shards.glob("*.jsonl"):
        file.unlink()


def _shards(folder, lines, size):
    found, start, number = [], 0, -(-len(lines) // size)
    for index in range(number):
        part = lines[index * size : (index + 1) * size]
        path = folder / SHARDS / f"{index:05d}-of-{number:05d}.jsonl"
        found.append(Shard(str(path), str(folder / IMAGES), start, len(part)))
        start += sum(map(len, part))
    return found


def _as_line(image):
    """A line of JSON, in UTF-8 and with escapes for what UTF-8 has not."""
    reference = list(image) if isinstance(image, TarMember) else [str(image)]
    text = json.dumps(reference, ensure_ascii=False)
    return f"{text}\n".encode(errors="backslashreplace")


def images_of(shard):
    """The images of a `Shard`, as a Detector takes them."""
    with open(shard.images, "rb") as file:
        file.seek(shard.start)
        lines = [json.loads(line) for line in itertools.islice(file, shard.number)]
    return [TarMember(*line) if len(line) > 1 else line[0] for line in lines]


def write(shard, pairs, threshold):
    """Writes the results of a `Shard`: (image, Prediction or error) of each, in order."""
    with replacing(shard.path, "w") as file:
        for image, found in pairs:
            about = {"file_name": str(image)}
            if isinstance(found, Exception):
                about["error"] = str(found)
            else:
                about.update(json.loads(found.above(threshold).to_json()))
            file.write(json.dumps(about, ensure_ascii=False) + "\n")


def collect(job, output, class_names, category_ids):
    """Writes detections.json, as `lhrcnn predict` does, and failed.jsonl, a line per image that
    could not be used; returns how many images and detections there are, and the errors."""
    errors, images, boxes = [], 0, 0
    categories = [{"id": k, "name": name} for k, name in zip(category_ids, class_names)]
    with output.writing(DETECTIONS, "w") as file:
        file.write('{"images": [')
        for one in job.results():
            if "error" in one:
                errors.append(one)
                continue
            images += 1
            about = {key: one[key] for key in ("file_name", "height", "width")}
            _add(file, images, {"id": images, **about})
        file.write(f'\n], "categories": {json.dumps(categories, ensure_ascii=False)}')
        file.write(', "annotations": [')
        found = (one for one in job.results() if "error" not in one)
        for image_id, one in enumerate(found, start=1):
            for box in one["detections"]:
                boxes += 1
                place = box["box"], box["score"], category_ids[box["class"]], box["name"]
                _add(file, boxes, {"id": boxes, **coco_result(image_id, *place)})
        file.write("\n]}\n")
    lines = [json.dumps(error, ensure_ascii=False) + "\n" for error in errors]
    output.write(FAILED, "".join(lines))
    return images, boxes, [error["error"] for error in errors]


def _add(file, number, entry):
    file.write(("\n" if number == 1 else ",\n") + json.dumps(entry, ensure_ascii=False))

"""Proposals of the images of a split on disk, for second stages trained and tested without an RPN.

FOLDER/SPLIT.npy is [N, P, 4] float32, px of the images on disk, best first, zeros where an image
has fewer; numpy opens it memory-mapped. FOLDER/SPLIT.json describes it: split, fingerprint of the
model that made it, image ids and sizes in the order of the rows, P, and the length of the array's
file. It is written last: without it nothing counts as there.
"""

import json
import os
import pathlib
import tokenize
import typing

import numpy as np

from lhrcnn.data.readers.parsing import MALFORMED
from lhrcnn.errors import DataError
from lhrcnn.files import Output, split_name

# What JSON and numpy, which reads headers as Python's literals, raise for a damaged file.
_DAMAGED = (*MALFORMED, EOFError, SyntaxError, tokenize.TokenError)


class Proposals(typing.NamedTuple):
    """The proposals of a split."""

    boxes: np.ndarray  # [N, P, 4] float32, memory-mapped, px of the images on disk
    rows: dict[int, int]  # image id -> row
    fingerprint: str  # of the model that made them


def open_proposals(folder, split, records, fingerprint=None):
    """The `Proposals` of a split, whose `records` must all be there with their sizes.

    Where given, `fingerprint` must be the model's. Raises DataError that says what is missing,
    damaged, or of another model or split."""
    header_path = pathlib.Path(folder, f"{split_name(split)}.json")
    by_stem = header_path.with_name(f"{pathlib.Path(split).stem}.json")  # of earlier versions
    if not header_path.is_file() and by_stem.is_file():
        header_path = by_stem
    array_path = header_path.with_suffix(".npy")
    again = f"`lhrcnn proposals --run_dir RUN --split {split} --output {folder}` makes them"
    for path in (header_path, array_path):
        if not path.is_file():
            raise DataError(f"{path}: no such file of proposals; {again}")
    header, images = _read_header(header_path, again)
    if header["split"] != split:
        raise DataError(
            f"{header_path}: these are the proposals of split '{header['split']}', not of "
            f"'{split}'; "
            f"{again}"
        )
    boxes = _open_array(array_path, header, len(images), again)
    found = header["fingerprint"]
    if fingerprint is not None and found != fingerprint:
        raise DataError(
            f"{array_path}: proposals of another model: their fingerprint is {found[:12]}, this "
            f"model's {fingerprint[:12]}; {again} anew"
        )
    _check_images(records, images, array_path, again)
    return Proposals(boxes, {image_id: row for image_id, (row, _, _) in images.items()}, found)


def write_proposals(folder, split, records, number, fingerprint, batches, overwrite=False):
    """Writes `number` proposals per image of a split's records; returns the path of the array.

    `batches` yields (image ids [B], boxes [B, n, 4] px of the images on disk, zeros at the end);
    all records must come up. Older proposals are replaced; an interrupted call leaves a `.partial`
    file and no proposals of the split. Raises FileExistsError for a file of that name that is
    something else, unless `overwrite`, and DataError where records did not come up."""
    header_path = pathlib.Path(folder, f"{split_name(split)}.json")
    array_path = header_path.with_suffix(".npy")
    output = Output(folder, overwrite=overwrite)
    output.check(header_path.name, array_path.name)
    header_path.unlink(missing_ok=True)
    rows = {record.image_id: row for row, record in enumerate(records)}
    partial, missing = array_path.with_suffix(".npy.partial"), set(rows)
    shape = (len(rows), number, 4)
    boxes = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=shape)
    for image_ids, found in batches:
        boxes[[rows[image_id] for image_id in image_ids], : found.shape[1]] = found[:, :number]
        missing.difference_update(image_ids)
    if missing:
        raise DataError(
            f"{partial}: {len(missing)} images got no proposals, such as {sorted(missing)[:3]}"
        )
    boxes.flush()
    os.replace(partial, array_path)
    header = {
        "split": split,
        "fingerprint": fingerprint,
        "number": number,
        "bytes": array_path.stat().st_size,
        "images": [[record.image_id, record.height, record.width] for record in records],
    }
    output.record(array_path.name)
    output.write(header_path.name, json.dumps(header))
    return array_path


def _read_header(path, again):
    """(header, {image id: (row, height, width)}) of a file that describes proposals."""
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
        rows = header.get("images") or header["pictures"]
        images = {
            int(image_id): (row, int(height), int(width))
            for row, (image_id, height, width) in enumerate(rows)
        }
        _ = header["split"], header["fingerprint"], header["bytes"], header["number"]
    except _DAMAGED as error:
        raise DataError(
            f"{path}: not readable as the description of proposals: {error!r}; {again} anew"
        ) from None
    return header, images


def _open_array(path, header, num_images, again):
    length, shape = path.stat().st_size, (num_images, header["number"], 4)
    described = f"{path.stem}.json"
    if length != header["bytes"]:
        raise DataError(
            f"{path}: damaged: it has {length} bytes, {described} says {header['bytes']}; "
            f"{again} anew"
        )
    try:
        boxes = np.lib.format.open_memmap(path, mode="r")
    except _DAMAGED as error:
        raise DataError(f"{path}: damaged: {error!r}; {again} anew") from None
    if boxes.shape != shape or boxes.dtype != np.float32:
        raise DataError(
            f"{path}: damaged: it holds {boxes.dtype} {list(boxes.shape)}, {described} says "
            f"float32 {list(shape)}; {again} anew"
        )
    return boxes


def _check_images(records, images, path, again):
    """Raises a DataError that names the records which are not among `images` as they are."""
    missing = [record for record in records if record.image_id not in images]
    if missing:
        raise DataError(
            f"{path}: holds {len(images)} images, but not {len(missing)} of the {len(records)} of "
            f"the data set, such as {missing[0].path} (image id {missing[0].shown_id}); "
            f"{again} anew"
        )
    for record in records:
        height, width = images[record.image_id][1:]
        if (height, width) != (record.height, record.width):
            raise DataError(
                f"{path}: image id {record.shown_id} is an image of {height} x {width} px "
                f"(height x width) there, {record.path} has {record.height} x "
                f"{record.width}; these are proposals of other images"
            )

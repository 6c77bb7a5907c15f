"""What a data set is, and what a batch is: the two contracts between data, training and evaluation.

Shape letters: B images of a batch, H W height and width of the padded batch in px, M padded ground-truth boxes.
Boxes are float32 (ymin, xmin, ymax, xmax), half-open, in px.

A batch is a dict of dense tensors:
    image       [B, H, W, 3] uint8     RGB, zeros outside the valid area
    image_size  [B, 2]       float32   valid height and width of `image`, px
    scale       [B, 2]       float32   network px per px of the image on disk, vertical and horizontal
    boxes       [B, M, 4]    float32   network px; zeros where padded
    classes     [B, M]       int32     0...K-1, -1 where padded
    ignore      [B, M]       bool      crowd regions and difficult objects: neither foreground nor background
    image_id    [B]          int64     of the record; -1 marks a filling image of evaluation, to be dropped
and, where data.proposals names some,
    proposals   [B, P, 4]    float32   network px, instead of those of an RPN; zeros where padded
"""

import dataclasses
import typing

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Record:
    """One image and its n objects; `height` and `width` are of the image as shown (after EXIF rotation), 0 where not known."""

    image_id: int
    path: str
    height: int
    width: int
    boxes: np.ndarray  # [n, 4] float32, px of the image on disk
    classes: np.ndarray  # [n] int32, 0...K-1
    ignore: np.ndarray  # [n] bool, COCO crowd or VOC difficult
    areas: np.ndarray  # [n] float32, px^2: COCO's `area`, else the box's
    unlabelled: tuple[int, ...] = ()  # classes whose objects may be there without a box


@dataclasses.dataclass
class Dataset:
    """Images, class names, and what was wrong with either."""

    name: str
    records: list[Record]
    class_names: list[str]
    category_ids: list[int]  # id of each class in the source's files, for COCO result JSON
    problems: list[str] = dataclasses.field(
        default_factory=list
    )  # a line each; images or boxes left out under on_error: skip
    proposals: typing.Any = None  # proposals.Proposals of these images, and maybe of more

    @property
    def num_classes(self):
        """K, the number of foreground classes."""
        return len(self.class_names)

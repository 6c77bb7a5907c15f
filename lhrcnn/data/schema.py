"""What a data set is, and what a batch is: the two contracts between data, training and evaluation.

Shape letters: B images of a batch, H W height and width of the padded batch in px, M padded
ground-truth boxes. Boxes are float32 (ymin, xmin, ymax, xmax), half-open, in px.

A batch is a dict of dense tensors:
    image       [B, H, W, 3] uint8     RGB, zeros outside the valid area
    image_size  [B, 2]       float32   valid height and width of `image`, px
    scale       [B, 2]       float32   network px per px of the image on disk, y and x
    boxes       [B, M, 4]    float32   network px; zeros where padded
    classes     [B, M]       int32     0...K-1, -1 where padded
    ignore      [B, M]       bool      crowds and difficult objects: neither fore- nor background
    image_id    [B]          int64     of the record
in evaluation
    row         [B]          int64     where the record stands in the data set; -1 marks a filling
                                       image, to be dropped
and, where data.proposals names some,
    proposals   [B, P, 4]    float32   network px, instead of those of an RPN; zeros where padded
"""

import dataclasses
import hashlib
import typing

import numpy as np


class Problem(typing.NamedTuple):
    """One thing found in the files of a data set; problems of one kind are counted together."""

    severity: str  # error, warning or note
    kind: str  # a few words, the same for all of a kind: "empty box"
    text: str  # one line: file, image, what was found, what was done about it

    def __str__(self):
        return self.text

    @classmethod
    def error(cls, kind, text):
        """What cannot be meant: training ends with it, or leaves out what it names
        (data.on_error)."""
        return cls("error", kind, text)

    @classmethod
    def warning(cls, kind, text):
        """An object or image was dropped or clipped, as the tools of the field do: counted."""
        return cls("warning", kind, text)

    @classmethod
    def note(cls, kind, text):
        """Something is read in a way that its author may want to know of."""
        return cls("note", kind, text)


@dataclasses.dataclass(frozen=True, eq=False)
class Record:
    """One image and its n objects.

    `image_id` is lhrcnn's own: from 0, below 2^53, no two the same in a `Dataset`; `source_id` is
    the id in the user's files where that is another. `height` and `width` are of the image as
    shown (after EXIF rotation), 0 where not known."""

    image_id: int
    path: str
    height: int
    width: int
    boxes: np.ndarray  # [n, 4] float32, px of the image on disk
    classes: np.ndarray  # [n] int32, 0...K-1
    ignore: np.ndarray  # [n] bool, COCO crowd or VOC difficult
    areas: np.ndarray  # [n] float32, px^2: COCO's `area`, else the box's
    unlabelled: tuple[int, ...] = ()  # classes whose objects may be there without a box
    source_id: typing.Any = None  # int or str; None: image_id
    scores: typing.Any = None  # [n] float32 where the objects are detections

    @property
    def shown_id(self):
        """The id of the image as its user knows it."""
        return self.image_id if self.source_id is None else self.source_id

    def with_classes(self, new_of):
        """The `Record` with the class new_of[k] instead of each k, without objects where it is
        -1."""
        classes = new_of[self.classes]
        keep = classes >= 0
        unlabelled = new_of[np.asarray(self.unlabelled, np.int32)]
        return dataclasses.replace(
            self,
            boxes=self.boxes[keep],
            classes=classes[keep],
            ignore=self.ignore[keep],
            areas=self.areas[keep],
            unlabelled=tuple(k for k in unlabelled.tolist() if k >= 0),
            scores=None if self.scores is None else self.scores[keep],
        )


@dataclasses.dataclass
class Dataset:
    """Images, class names, and what was wrong with either."""

    name: str
    records: list[Record]
    class_names: list[str]
    category_ids: list[int]  # id of each class in the source's files, for COCO result JSON
    problems: list[Problem] = dataclasses.field(default_factory=list)
    proposals: typing.Any = None  # proposals.Proposals of these images, and maybe of more
    held_out: tuple[str, ...] = ()  # images drawn for validation, where the data set has no split

    @property
    def num_classes(self):
        """K, the number of foreground classes."""
        return len(self.class_names)

    def with_classes(self, names, category_ids):
        """The `Dataset` with these classes in this order; objects of others are left out."""
        class_of = {name: k for k, name in enumerate(names)}
        new_of = np.array([class_of.get(name, -1) for name in self.class_names], np.int32)
        return dataclasses.replace(
            self,
            records=[record.with_classes(new_of) for record in self.records],
            class_names=list(names),
            category_ids=list(category_ids),
        )

    def digest(self):
        """SHA-256 (hex) of what is learnt from: image ids, sizes, boxes, classes, class names."""
        ids = [record.image_id for record in self.records]
        images = [(record.height, record.width, len(record.boxes)) for record in self.records]
        names = [record.source_id for record in self.records if record.source_id is not None]
        digest = hashlib.sha256(repr((self.class_names, names)).encode())
        digest.update(np.array(ids, "<i8").tobytes() + np.array(images, "<i4").tobytes())
        for field, kind in (("boxes", "<f4"), ("classes", "<i4"), ("ignore", "?")):
            for record in self.records:
                digest.update(getattr(record, field).astype(kind).tobytes())
        return digest.hexdigest()

"""Options of `eval` and `test`."""

import dataclasses

from lhrcnn.config.schema.option import PRECISIONS, SOME, option, share


@dataclasses.dataclass(frozen=True)
class EvalConfig:
    """Evaluation of detections."""

    batch_size: int = option(8, "images per step over all devices", minimum=1)
    metrics: list[str] = option(
        ["coco"],
        "what detections are scored by; the first one's main number picks the best checkpoint",
        "lhrcnn.evaluation.metrics:METRICS",
        lengths=SOME,
    )
    text_score: float = share(
        0.5, "least score of the detections that deteval, wolf_jolion and icdar_iou count"
    )
    backend: str = option(
        "hotcoco",
        "what counts COCO's numbers; fast: faster-coco-eval; reference: pycocotools",
        "lhrcnn.evaluation.metrics:BACKENDS",
    )


@dataclasses.dataclass(frozen=True)
class TestConfig:
    """How images are looked at in evaluation after training, prediction and export."""

    scales: list[float] = option(
        [1.0],
        "sizes at which an image is looked at, as shares of its usual one",
        above=0,
        lengths=SOME,
    )
    merge: str = option(
        "maxout",
        "several scales; maxout: a box's features of two adjacent ones, merged by maximum; "
        "detections: those of all",
        ["maxout", "detections"],
    )
    roi_side: float = option(
        224.0,
        "maxout: a box goes to the two adjacent scales at which its side is closest to this many "
        "px",
        minimum=1,
    )
    flip: bool = option(False, "detect in the mirrored image too, and merge the detections")
    precision: str = option(
        "float32", "arithmetic of the network, whatever it was trained with", PRECISIONS
    )

"""What testing an image more than once costs: box refinement, global context, several scales,
mirrored images and an ensemble.

    python benchmarks/testing.py [--rounds 15]

An image of 192 x 256 px, MobileNetV2 and the head of light_head_mobilenet_v2_voc07_192, random
weights, 20 classes. The limits are the arithmetic: pixels for backbones and RPN, boxes for
heads, plus a quarter; for refinement the RoI stage (pooling, head, NMS) of as many boxes, plus
three tenths.
"""

import measure

CONFIG = "configs/light_head_mobilenet_v2_voc07_192.yaml"
PLAIN = [
    "model.backbone.weights=",
    "data.resize=keep_ratio",
    "data.short_side=[192]",
    "model.rpn.post_nms_test=300",
]
SCALES = [0.5, 0.75, 1.0]


def main():
    arguments = measure.parse(__doc__, rounds=15)
    import tensorflow as tf

    from lhrcnn import config as configs
    from lhrcnn.inference.tta import for_testing
    from lhrcnn.models import postprocess
    from lhrcnn.models.build import build_detector

    image = tf.cast(
        tf.random.stateless_uniform([1, 192, 256, 3], [0, 0], 0, 256, tf.int32), tf.uint8
    )
    size = tf.constant([[192.0, 256.0]])

    def build(*overrides, models=1):
        config = configs.load(CONFIG, [*PLAIN, *overrides])
        return for_testing([build_detector(config, 20) for _ in range(models)], config)[0]

    def detect(*overrides, models=1):
        detector = build(*overrides, models=models)
        return measure.timed(tf.function(lambda: detector.detect(image, size)))

    def roi_stage():
        detector = build()
        prepared, proposals = detector.regions(image, size)
        return measure.timed(
            tf.function(
                lambda: detector.select(
                    postprocess.candidates(
                        *detector.localise(prepared, proposals, size), None, detector.postprocess
                    )
                ).boxes
            )
        )

    pixels = sum(scale**2 for scale in SCALES)
    scales = f"test.scales={SCALES}"
    cases = {
        "once": (detect(), 1),
        "global context": (detect("model.head.global_context=true"), 1.1),
        "mirrored too": (detect("test.flip=true"), 2),
        f"detections of scales {SCALES}": (
            detect(scales, "test.merge=detections"),
            max(pixels, len(SCALES)),
        ),
        f"maxout of scales {SCALES}": (detect(scales, "test.roi_side=64"), 2),
        "ensemble of 2": (detect(models=2), 4),
    }
    refined = detect(
        "model.postprocess.rounds=2",
        "model.postprocess.nms_iou=0.3",
        "model.postprocess.vote_iou=0.5",
    )
    times = measure.by_turns(
        {name: case for name, (case, _) in cases.items()}
        | {"refined": refined, "RoI stage": roi_stage()},
        arguments.rounds,
    )
    times["refinement"] = [more - once for more, once in zip(times["refined"], times["once"])]
    report = measure.Report("Testing an image more than once", arguments)
    report.table(
        ("", "ms", "of once"),
        [
            (name, measure.median(times[name]), measure.ratio(times, name, "once"))
            for name in [*cases, "refined"]
        ],
    )
    for name, (_, limit) in cases.items():
        report.check(f"{name}, of once", measure.ratio(times, name, "once"), limit * 1.25)
    report.check(
        "refinement, of the RoI stage", measure.ratio(times, "refinement", "RoI stage"), 1.3
    )
    report.finish()


if __name__ == "__main__":
    main()

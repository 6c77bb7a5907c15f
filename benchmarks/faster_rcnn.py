"""The Faster R-CNN family on CPU against torchvision's, by turns: one case a call, so that the peak
memory is that of the case.

    python benchmarks/faster_rcnn.py --case inference|v2|mobilenet|resnext|training \\
        [--precision float32|mixed_bfloat16] [--rounds 3]
        [--peer_python .venv-peers/bin/python]

inference: ResNet-50 with a feature pyramid at 800 x 1200, batch 1. v2: torchvision's version 2 of
it. mobilenet: MobileNetV3-Large with a pyramid at 320 x 480, batch 1, 150 proposals. resnext:
ResNeXt-101 64x4d at 800 x 1344, batch 1, against torchvision's FasterRCNN over the same network,
which stands for mmdetection's. training: ResNet-50 at 320 x 480, batch 2, two stages and batch norm
frozen.
Weights and images are random; proposals and RoIs are as many as torchvision's. Batch norms are
folded into their convolutions for detection, and kernels constants where they are in the predictor.
--precision holds for both sides: `test.precision` or `train.precision` here, autocast there.
torchvision runs twice, as it comes and with its networks compiled by torch.compile.
"""

import measure
import tensorflow as tf
from detector import compiled, random_batch

from lhrcnn import config as configs
from lhrcnn.models.build import arithmetic, build_detector
from lhrcnn.models.constant_kernels import constant_kernels

# Config, torchvision's backbone or detector, height, width, batch; limits of the time, of
# torchvision's and of its compiled one.
CASES = {
    "inference": ("faster_rcnn_resnet50_fpn_coco_torchvision", "resnet50", 800, 1200, 1, 0.6, 1),
    "v2": (
        "faster_rcnn_resnet50_fpn_v2_coco_torchvision",
        "fasterrcnn_resnet50_fpn_v2",
        800,
        1200,
        1,
        0.6,
        0.85,
    ),
    "mobilenet": (
        "faster_rcnn_mobilenet_v3_large_320_fpn_coco_torchvision",
        "fasterrcnn_mobilenet_v3_large_320_fpn",
        320,
        480,
        1,
        0.5,
        1,
    ),
    "resnext": ("faster_rcnn_resnext101_64x4d_fpn_coco", "resnext101_64x4d", 800, 1344, 1, 0.6, 1),
    "training": ("faster_rcnn_resnet50_fpn_coco_torchvision", "resnet50", 320, 480, 2, 0.8, 1),
}


def main():
    arguments = measure.parse(__doc__, rounds=3, case="inference", precision="float32")
    name, backbone, height, width, batch_size, *limits = CASES[arguments.case]
    config = configs.load(f"configs/{name}.yaml", ["model.backbone.weights=", "train.batch_size=2"])
    batch = random_batch(batch_size, height, width)
    with arithmetic(arguments.precision):
        if arguments.case == "training":
            detector = compiled(config, 80)
            ours, theirs = measure.timed(tf.function(detector.train_step), batch), "training"
        else:
            detector = build_detector(config, 80)
            detector.fold()
            detect = tf.function(constant_kernels(detector)(detector.detect))
            ours = measure.timed(detect, batch["image"], batch["image_size"])
            theirs = "inference"
    made = [backbone, height, width, batch_size, arguments.precision]
    peers = {
        name: measure.Peer(arguments.peer_python, "faster_rcnn", arguments.threads, *made, how)
        for name, how in (("torchvision", "eager"), ("torchvision, compiled", "compiled"))
    }
    cases = {"lhrcnn": ours, **{name: peer.case(theirs) for name, peer in peers.items()}}
    times = measure.by_turns(cases, arguments.rounds, 2)
    memory = {"lhrcnn": measure.peak_megabytes()}
    for name, peer in peers.items():
        memory[name] = peer.case("peak megabytes")()
        peer.close()
    report = measure.Report(
        f"Faster R-CNN on CPU: {arguments.case}, {arguments.precision}", arguments
    )
    report.table(
        (f"{backbone}, with FPN, batch {batch_size}, {height} x {width}", "ms", "peak MB"),
        [(who, measure.median(times[who]), memory[who]) for who in times],
    )
    report.check("time, of torchvision's", measure.ratio(times, "lhrcnn", "torchvision"), limits[0])
    of_compiled = measure.ratio(times, "lhrcnn", "torchvision, compiled")
    report.check("time, of torchvision's, compiled", of_compiled, limits[1])
    report.check("peak memory, of torchvision's", memory["lhrcnn"] / memory["torchvision"], 1.3)
    report.finish()


if __name__ == "__main__":
    main()

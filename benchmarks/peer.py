"""The peers' side of the benchmarks, run by the peers' Python, which needs nothing of lhrcnn (see
measure.Peer).

    .venv-peers/bin/python benchmarks/peer.py FACTORY THREADS [ARGUMENTS OF THE FACTORY]

A factory returns its cases, functions by name, and what there is to say about them. Prints a
line of JSON about what was made, then reads names of cases and prints the ms that each took.
"""

import functools
import json
import pathlib
import resource
import sys
import time

import numpy as np
import torch
import torchvision
from torchvision.models import detection


def psroi_align(file):
    """PSRoIAlign of the numbers in an .npz file; leaves its values for 1000 boxes in pooled.npy
    beside it."""
    data = np.load(file)
    group = int(data["group"])
    bins = group**2

    def channel_major(values):  # [..., G * G, C] -> [..., C, G * G]
        return torch.from_numpy(
            values.reshape(*values.shape[:-1], bins, -1).swapaxes(-1, -2).reshape(values.shape)
        )

    features = channel_major(data["features"]).permute(0, 3, 1, 2).contiguous()
    boxes = torch.from_numpy(data["boxes"][0])[:, [1, 0, 3, 2]]
    boxes = torch.cat([torch.zeros(len(boxes), 1), boxes], 1)
    upstream = channel_major(data["upstream"][0].reshape(len(boxes), -1)).reshape(
        len(boxes), -1, group, group
    )
    leaf = features.clone().requires_grad_()

    def forward(count):
        with torch.no_grad():
            return torchvision.ops.ps_roi_align(
                features, boxes[:count], group, float(data["scale"]), 2
            )

    def both(count):
        leaf.grad = None
        torchvision.ops.ps_roi_align(leaf, boxes[:count], group, float(data["scale"]), 2).backward(
            upstream[:count]
        )

    np.save(
        pathlib.Path(file).with_name("pooled.npy"), forward(1000).permute(0, 2, 3, 1)[None].numpy()
    )
    return {
        f"{kind.__name__} {count}": functools.partial(kind, count)
        for kind in (forward, both)
        for count in (300, 1000)
    }, {}


def roi_ops(folder):
    """RoIAlign, RoIPool and MultiScaleRoIAlign of the numbers in a folder's .npz files; leaves
    values and gradients of each beside it."""
    cases = {}
    for file in sorted(pathlib.Path(folder).glob("*.npz")):
        data = np.load(file)
        settings = json.loads(str(data["settings"]))
        size, ratio, scales = settings["size"], settings["sampling_ratio"], settings["scales"]
        maps = [
            torch.from_numpy(data[f"map{level}"]).permute(0, 3, 1, 2).contiguous()
            for level in range(len(scales))
        ]
        boxes = [torch.from_numpy(image[:, [1, 0, 3, 2]].copy()) for image in data["boxes"]]
        upstream = torch.from_numpy(data["upstream"]).flatten(0, 1).permute(0, 3, 1, 2).contiguous()

        def pool(maps, size=size, ratio=ratio, scales=scales, boxes=boxes, settings=settings):
            if settings["op"] == "pool":
                return torchvision.ops.roi_pool(maps[0], boxes, size, scales[0])
            if settings["op"] == "align":
                return torchvision.ops.roi_align(
                    maps[0], boxes, size, scales[0], ratio, settings["aligned"]
                )
            names = [str(level) for level in range(len(maps))]
            image = [round(length / scales[0]) for length in maps[0].shape[2:]]
            return torchvision.ops.MultiScaleRoIAlign(names, size, ratio)(
                dict(zip(names, maps)), boxes, [image] * len(boxes)
            )

        @torch.no_grad()
        def forward(pool=pool, maps=maps):
            return pool(maps)

        def both(
            pool=pool,
            leaves=tuple(level.clone().requires_grad_() for level in maps),  # noqa: B008
            upstream=upstream,
        ):
            for leaf in leaves:
                leaf.grad = None
            pool(leaves).backward(upstream)
            return leaves

        gradients = {
            f"gradient{level}": leaf.grad.permute(0, 2, 3, 1).numpy()
            for level, leaf in enumerate(both())
        }
        np.savez(
            file.with_suffix(".peer"),
            pooled=forward().permute(0, 2, 3, 1).reshape(data["upstream"].shape).numpy(),
            **gradients,
        )
        cases.update({f"{file.stem} forward": forward, f"{file.stem} both": both})
    return cases, {}


def mobilenet_v3_fpn(height, width):
    """fasterrcnn_mobilenet_v3_large_fpn with 80 classes and background, as it comes but for the
    size."""
    height, width = int(height), int(width)
    model = detection.fasterrcnn_mobilenet_v3_large_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=81,
        min_size=min(height, width),
        max_size=max(height, width),
    ).eval()
    proposals = []
    model.rpn.register_forward_hook(
        lambda module, inputs, outputs: proposals.append(len(outputs[0][0]))
    )
    image = torch.rand(3, height, width)

    @torch.no_grad()
    def detect():
        model([image])

    detect()
    return {"detect": detect}, {"proposals": proposals[0]}


def steps(model, images, targets):
    """Cases of a detector: one step of SGD, and detection, on the same images."""
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], 1e-4, 0.9, weight_decay=1e-4
    )

    def training():
        model.train()
        optimizer.zero_grad()
        sum(model(images, targets).values()).backward()
        optimizer.step()

    @torch.no_grad()
    def inference():
        model.eval()
        model(images)

    return {"training": training, "inference": inference}


def mobilenet_v2_144():
    """FasterRCNN at 144 x 144 over MobileNetV2 without its last 1x1 convolution, last stage at
    stride 16, batch norm frozen."""
    features = torchvision.models.mobilenet_v2(
        weights=None, norm_layer=torchvision.ops.FrozenBatchNorm2d
    ).features[:-1]
    features[14].conv[1][0].stride = (1, 1)
    features.out_channels = 320
    model = detection.FasterRCNN(
        features,
        num_classes=21,
        min_size=144,
        max_size=144,
        box_score_thresh=0.001,
        rpn_anchor_generator=detection.rpn.AnchorGenerator(
            ((16, 32, 64, 96, 128),), ((0.5, 1.0, 2.0),)
        ),
        box_roi_pool=torchvision.ops.MultiScaleRoIAlign(["0"], 7, 2),
        rpn_pre_nms_top_n_train=1000,
        rpn_post_nms_top_n_train=300,
        rpn_pre_nms_top_n_test=1000,
        rpn_post_nms_top_n_test=300,
        box_batch_size_per_image=128,
    )
    images = [torch.rand(3, 144, 144) for _ in range(8)]
    corners = [torch.rand(4, 2) * 72 for _ in images]
    targets = [
        {
            "boxes": torch.cat([corner, corner + 14.4 + 57.6 * torch.rand(4, 2)], 1),
            "labels": torch.randint(1, 21, (4,)),
        }
        for corner in corners
    ]

    return steps(model, images, targets), {}


def faster_rcnn(backbone, height, width, batch_size, precision, how):
    """FasterRCNN over a ResNet or ResNeXt with a feature pyramid, or torchvision's function of the
    name `backbone`: 80 classes and background, weights random, settings as they come.

    precision: float32, or mixed_bfloat16 by autocast; how: eager, or compiled (its networks, by
    torch.compile: what lies between them has shapes that depend on the image)."""
    height, width = int(height), int(width)
    options = {"num_classes": 81, "min_size": min(height, width), "max_size": max(height, width)}
    if hasattr(detection, backbone):
        model = getattr(detection, backbone)(weights=None, weights_backbone=None, **options)
    else:
        features = detection.backbone_utils.resnet_fpn_backbone(
            backbone_name=backbone,
            weights=None,
            trainable_layers=3,
            norm_layer=torchvision.ops.FrozenBatchNorm2d,
        )
        model = detection.FasterRCNN(features, **options)
    if how == "compiled":
        model.backbone = torch.compile(model.backbone)
        model.rpn.head = torch.compile(model.rpn.head)
        model.roi_heads.box_head = torch.compile(model.roi_heads.box_head)
        model.roi_heads.box_predictor = torch.compile(model.roi_heads.box_predictor)
    images = [torch.rand(3, height, width) for _ in range(int(batch_size))]
    size = torch.tensor([width, height] * 2)
    corners = [torch.rand(4, 2) / 2 for _ in images]
    targets = [
        {
            "boxes": torch.cat([corner, corner + 0.1 + 0.4 * torch.rand(4, 2)], 1) * size,
            "labels": torch.randint(1, 81, (4,)),
        }
        for corner in corners
    ]

    def in_precision(case):
        def run():
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "mixed_bfloat16"):
                case()

        return run

    cases = steps(model, images, targets)
    return {name: in_precision(case) for name, case in cases.items()}, {}


def checkpoint(path):
    """A checkpoint of fasterrcnn_resnet50_fpn with random weights, written; and its reading."""
    model = detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    torch.save(model.state_dict(), path)
    return {"read": functools.partial(torch.load, path, weights_only=True)}, {}


FACTORIES = {
    "checkpoint": checkpoint,
    "faster_rcnn": faster_rcnn,
    "psroi_align": psroi_align,
    "roi_ops": roi_ops,
    "mobilenet_v3_fpn": mobilenet_v3_fpn,
    "mobilenet_v2_144": mobilenet_v2_144,
}


def main(name, threads, *arguments):
    torch.manual_seed(0)
    torch.set_num_threads(int(threads))
    cases, about = FACTORIES[name](*arguments)
    print(
        json.dumps({"torch": torch.__version__, "torchvision": torchvision.__version__, **about}),
        flush=True,
    )
    for line in sys.stdin:
        if line.strip() == "peak megabytes":
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)
            continue
        start = time.perf_counter()
        cases[line.strip()]()
        print(1000 * (time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

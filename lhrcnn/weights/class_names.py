"""Classes of the data sets that public checkpoints were trained on, as (names, category ids) in the
order of their outputs.
"""

_BY_ID = (  # COCO's, from 1 on; "-": no class has the id
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire "
    "hydrant, -, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, "
    "bear, zebra, giraffe, -, backpack, umbrella, -, -, handbag, tie, suitcase, frisbee, skis, "
    "snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis "
    "racket, bottle, -, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, "
    "orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, -, "
    "dining table, -, -, toilet, -, tv, laptop, mouse, remote, keyboard, cell phone, microwave, "
    "oven, toaster, sink, refrigerator, -, book, clock, vase, scissors, teddy bear, hair drier, "
    "toothbrush"
).split(", ")
_COCO = {number: name for number, name in enumerate(_BY_ID, start=1) if name != "-"}
COCO = (list(_COCO.values()), list(_COCO))
# torchvision's output is the category id, so that ten outputs belong to ids without a class.
COCO_WITH_GAPS = ([_COCO.get(i, f"unused {i}") for i in range(1, 91)], list(range(1, 91)))
VOC = (
    (
        "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
        "person pottedplant sheep sofa train tvmonitor"
    ).split(),
    list(range(1, 21)),
)

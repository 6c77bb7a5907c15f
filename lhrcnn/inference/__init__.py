"""What is done with a trained detector: prediction, drawing, export.

An entry of SAVES is f([saving.Found], (class names, category ids), files.Output) -> what it wrote,
a path; one of MERGES f(boxes [D, 4] px, scores [D], iou) -> (boxes, scores) that stay of a class.
"""

SAVES = {
    "txt": "lhrcnn.inference.saving:save_txt",
    "csv": "lhrcnn.inference.saving:save_csv",
    "coco": "lhrcnn.inference.saving:save_coco",
    "voc": "lhrcnn.inference.saving:save_voc",
    "yolo": "lhrcnn.inference.saving:save_yolo",
    "labelme": "lhrcnn.inference.saving:save_labelme",
}
MERGES = {"nms": "lhrcnn.inference.tiles:suppress", "fusion": "lhrcnn.inference.tiles:fuse"}

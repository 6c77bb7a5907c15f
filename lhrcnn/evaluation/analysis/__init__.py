"""What a detector gets wrong: errors by kind, curves, calibration, intervals and comparisons.

All parts start from `matches.match`: which detection takes which object, as COCO's protocol has it.
Crowds and difficult objects need not be found, and what lies in them counts neither way. Shape
letters: I images, K classes, D detections by falling score, G objects, T IoU thresholds.
"""

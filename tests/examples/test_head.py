"""examples/head.py works wherever an extractor or a head of the package does."""

import pytest


@pytest.mark.parametrize(
    "kind, scores, options",
    [
        ("mean", (16, 3), ["model.head.global_context=true", "train.precision=mixed_bfloat16"]),
        ("cosine", (16, 3), ["model.head.options={scale: 10}"]),
        ("cosine", (16, 3), ["model.head.localisation=in_out", "model.locnet.channels=4"]),
    ],
    ids=["extractor", "head", "head with LocNet"],
)
def test_it_works_everywhere(work_with, kind, scores, options):
    detector = work_with("head.py", f"model.head.kind={kind}", *options)
    variables = detector.model.named_variables()
    wide = 2 if "global_context" in options[0] else 1
    assert variables["head/class_scores/kernel"].shape == [scores[0] * wide, scores[1]]
    if kind == "mean":  # the extractor's layers stand in the head
        assert "head/fc/kernel" in variables
    elif "scale" in options[0]:
        assert detector.model.head.class_scores.scale == 10
    else:
        assert "head/features/fc/kernel" in variables and "head/locnet/rows/kernel" in variables

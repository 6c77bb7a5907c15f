"""Images with boxes, and sheets of images."""

import io

import numpy as np
import pytest
from PIL import Image

from lhrcnn.inference.visualize import contact_sheet, draw_detections

GREY, BOX = np.full([400, 500, 3], 90, np.uint8), [100, 100, 300, 300]


def changed(drawn, image=GREY):
    """Where the drawing differs from the image."""
    return np.any(np.asarray(drawn) != image, axis=2)


def test_lines_follow_the_box_and_leave_the_rest():
    marks = changed(draw_detections(GREY, [[100, 150, 300, 350]], ["cat"]))
    assert marks[100, 200:340].all() and marks[299, 160:340].all()
    assert marks[110:290, 150].all() and marks[110:290, 349].all()
    assert not marks[110:290, 160:340].any() and not marks[310:].any() and not marks[:, 360:].any()
    assert marks[70:99, 150:180].mean() > 0.3  # the label stands above the box


def test_label_is_readable_against_its_background():
    for names in (["a", "b"], [f"class {k}" for k in range(18)]):
        for name in names:
            drawn = draw_detections(GREY, [BOX], [name], [0.5], class_names=names)
            label = np.asarray(drawn).astype(int)[85:99, 102:130].reshape(-1, 3)
            luminance = label @ [0.299, 0.587, 0.114]
            assert luminance.max() - luminance.min() > 90


def test_colours_differ_by_class_and_stay_between_images():
    names = [f"class {k}" for k in range(12)]
    drawn = [draw_detections(GREY, [BOX], [name], class_names=names) for name in names]
    colours = [one.getpixel((250, 299)) for one in drawn]
    assert len(set(colours)) == 12
    labels = ["class 1", "class 5"]
    again = draw_detections(GREY, [[10, 10, 50, 50], BOX], labels, class_names=names)
    assert again.getpixel((250, 299)) == colours[5]


def test_boxes_outside_and_impossible_ones_are_survived():
    boxes = [
        [-50, -50, 100, 100],
        [300, 400, 9e9, 9e9],
        [500, 600, 700, 800],
        [np.nan, 0, 10, 10],
        [50, 50, 40, 40],
        [0, 0, 400, 500],
    ]
    marks = changed(draw_detections(GREY, boxes, ["x"] * 6, np.linspace(0, 1, 6)))
    assert marks[99, 10:90].all() and marks[300, 410:].all()
    only_lost = changed(draw_detections(GREY, boxes[2:5], ["x"] * 3))
    assert not only_lost.any()


def test_labels_of_neighbouring_boxes_do_not_cover_each_other():
    boxes = [[200, 200, 300, 300], [202, 202, 302, 302]]
    one, two = (
        changed(draw_detections(GREY, boxes[:number], ["first"] * number, [0.9] * number)).sum()
        for number in (1, 2)
    )
    # The second label and lines came on top of it, not in the first one's place.
    assert two - one > 500


def test_small_images_are_enlarged_and_strips_survive():
    assert draw_detections(GREY[:20, :30], [[0, 0, 10, 10]], ["x"]).size == (540, 360)
    assert draw_detections(GREY[:20, :30], [[0, 0, 10, 10]], ["x"], min_side=0).size == (30, 20)
    assert draw_detections(GREY[:1, :1], [[0, 0, 1, 1]], ["x"]).size == (360, 360)
    assert draw_detections(np.zeros([1, 5000], np.uint8), [[0, 0, 1, 900]], ["x"]).size == (5000, 1)
    assert draw_detections(Image.new("L", (500, 400)), [], []).mode == "RGB"


def test_the_image_given_stays_as_it_is():
    image = Image.fromarray(GREY)
    draw_detections(image, [[100, 100, 300, 300]], ["x"])
    assert not changed(image).any()


def test_a_pil_image_is_drawn_on_as_a_detector_looks_at_it():
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY).save(file := io.BytesIO(), "PNG", exif=exif)
    assert draw_detections(Image.open(file), [], []).size == (400, 500)
    deep = Image.fromarray(np.full([400, 500], 90 * 256, np.uint16))
    assert not changed(draw_detections(deep, [], [])).any()


def test_wrong_counts_are_refused():
    with pytest.raises(ValueError, match="1 boxes, 2 labels and no scores"):
        draw_detections(GREY, [[0, 0, 1, 1]], ["a", "b"])
    with pytest.raises(ValueError, match="1 boxes, 1 labels and 2 scores"):
        draw_detections(GREY, [[0, 0, 1, 1]], ["a"], [0.1, 0.2])


def test_contact_sheet_holds_all_images():
    red, blue = (Image.new("RGB", (200, 100), colour) for colour in ("red", "blue"))
    captions = ["a", "b", "/long" * 40, "d", "e"]
    images = [red, blue, np.asarray(red), blue, red]
    sheet = np.asarray(contact_sheet(images, columns=2, captions=captions, tile=100))
    assert sheet.shape[1] == 2 * 100 + 3 * 6 and 3 * 50 < sheet.shape[0] < 3 * 100
    for colour, number in (([255, 0, 0], 3), ([0, 0, 255], 2)):
        assert (sheet == colour).all(axis=2).sum() == number * 100 * 50
    assert contact_sheet([red], columns=5, tile=50).size == (62, 37)
    with pytest.raises(ValueError, match="no images"):
        contact_sheet([], 3)

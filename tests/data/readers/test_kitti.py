"""The KITTI reader."""

import pytest
from data.reading import images, kinds, read, seen, write

CAR = "Car 0.00 0 -1.58 587.01 173.33 614.12 200.12 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n"
DONT_CARE = "DontCare -1 -1 -10 503.89 169.71 590.61 190.13 -1 -1 -1 -1000 -1000 -1000 -10\n"


def test_original_layout(tmp_path):
    images(tmp_path, "training/image_2/000000.png", "training/image_2/000001.png", size=(375, 1242))
    write(
        tmp_path,
        {"training/label_2/000000.txt": CAR + DONT_CARE, "training/label_2/000001.txt": ""},
    )
    dataset = read("kitti", tmp_path, "train")
    assert dataset.class_names == ["Car"]
    assert seen(dataset) == {
        "000000.png": [
            ("Car", 173.33, 587.01, 200.12, 614.12),
            ("Car!", 169.71, 503.89, 190.13, 590.61),
        ],
        "000001.png": [],
    }


def test_scores_names_of_several_words_and_faults(tmp_path):
    images(tmp_path, "images/a.png")
    zebra = "zebra crossing 0 0 -1 10 20 40 60 -1 -1 -1 -1 -1 -1 -1"
    write(tmp_path, {"labels/a.txt": f"{zebra}\n{zebra} 0.9\nzebra 1 2 3\n"})
    dataset = read("kitti", tmp_path)
    assert seen(dataset)["a.png"] == [("zebra crossing", 20, 10, 60, 40)] * 2
    assert kinds(dataset) == ["bad line"] and "line 3" in dataset.problems[0].text


def test_images_of_two_cameras_need_a_folder(tmp_path):
    images(tmp_path, "image_2/000000.png", "image_3/000000.png", size=(375, 1242))
    write(tmp_path, {"label_2/000000.txt": CAR})
    dataset = read("kitti", tmp_path)
    assert kinds(dataset) == ["ambiguous image name"] and not dataset.records
    assert "image_2/000000.png or " in dataset.problems[0].text
    assert "data.image_dir names a folder to look in" in dataset.problems[0].text
    dataset = read("kitti", tmp_path, "*", "image_dir=image_2")
    assert [record.path for record in dataset.records] == [f"{tmp_path}/image_2/000000.png"]


@pytest.mark.parametrize("encoding", ["gbk", "utf-16"])
def test_encodings_and_a_file_whose_first_line_is_faulty(tmp_path, encoding):
    images(tmp_path, "a.png", "b.png", size=(375, 1242))
    car = CAR.replace("Car", "汽车")
    (tmp_path / "a.txt").write_text(car, encoding=encoding)
    (tmp_path / "b.txt").write_text("Car 0 nan\n" + car, encoding=encoding)
    dataset = read("kitti", tmp_path)
    assert dataset.class_names == ["汽车"] and kinds(dataset) == ["bad line"]
    assert "b.txt: line 1" in dataset.problems[0].text

"""The WIDER FACE reader: the original lists, and datumaro's without counts."""

from data.reading import images, kinds, read, seen, write

SPLIT = "wider_face_split/wider_face_{}_bbx_gt.txt"


def test_original_lists(tmp_path):
    images(tmp_path, *(f"WIDER_train/images/0--Parade/{name}.jpg" for name in "abc"))
    write(
        tmp_path,
        {
            SPLIT.format("train"): "0--Parade/a.jpg\n2\n10 20 30 40 0 0 0 0 0 0 \n"
            "1 2 5 6 2 0 0 1 0 0 \n0--Parade/b.jpg\n0\n0 0 0 0 0 0 0 0 0 0 \n"
            "0--Parade/c.jpg\n2\n10 20 30 40 0 0 0 0 0 0\n"
        },
    )
    dataset = read("wider_face", tmp_path, "train")
    assert dataset.class_names == ["face"]
    face = ("face", 20, 10, 60, 40)
    assert seen(dataset) == {"a.jpg": [face, ("face!", 2, 1, 8, 6)], "b.jpg": [], "c.jpg": [face]}
    assert (
        kinds(dataset) == ["number of faces", "ignored objects"]
        and "1 faces where 2" in dataset.problems[0].text
    )


def test_datumaros_lists(tmp_path):
    images(tmp_path, *(f"WIDER_val/images/no_label/{name}.png" for name in "abc"))
    lines = "no_label/a.png\n1\n10.0 20.0 30.0 40.0 zebra\nno_label/b.png\nno_label/c.png\n"
    write(tmp_path, {SPLIT.format("val"): lines, "labels.txt": "zebra\n"})
    dataset = read("wider_face", tmp_path, "val")
    zebra = ("zebra", 20, 10, 60, 40)
    assert seen(dataset) == {"a.png": [zebra], "b.png": [], "c.png": []} and kinds(dataset) == []

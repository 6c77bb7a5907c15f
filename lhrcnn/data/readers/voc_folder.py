"""Reader of VOC's XML files in any folders, without ImageSets/, as labelImg leaves them."""

import re

from lhrcnn.data.readers import gathering, lookup, voc_xml
from lhrcnn.data.readers.gathering import Kind


def read(data_config, split, training=False):
    """The `Dataset` of a split: a folder or a list of that name, or `*` for all XML files.

    `difficult` objects become `ignore`, unless `training` and data.use_difficult. Raises
    DataError."""
    use_difficult, notes = training and data_config.use_difficult, []
    folder = lookup.data_folder(data_config.dir)
    files = KIND.files(folder)
    _, corners = voc_xml.survey(files, data_config.voc_corners, folder, notes)

    def parse(file, problems):
        found = voc_xml.parse(file, f"{file}", corners, use_difficult, problems)
        return [found] if found else []

    dataset = gathering.gather(data_config, split, KIND, parse, files=files)
    dataset.problems.extend(notes)
    return dataset


def _is_voc_xml(file):
    """Whether a file is of one image, as VOC has it; the files of MIT's old LabelMe are others."""
    text = lookup.head(file, 4096)
    return re.search(r"<annotation[\s>]", text) is not None and "<imagesize>" not in text


KIND = Kind(_is_voc_xml, (".xml",), many=False)

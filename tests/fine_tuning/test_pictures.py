"""What can be seen in a picture, whatever the labels are called."""

import pytest
import torch
from PIL import Image

from fine_tuning.evaluation import Evaluation
from fine_tuning.labelled_texts import LabelledText
from fine_tuning.measures import measured
from fine_tuning.pictures import CONFUSION_MATRIX, draw_answers
from fine_tuning.problem_types import SingleLabel

ALL_OF_A_ROW = (8, 48, 107)
"""The colour of a cell that holds all documents of its class."""


@pytest.mark.parametrize("classes", [2, 20])
def test_long_names_leave_the_cells_of_a_matrix_their_size(tmp_path, classes):
    """Each is at least half an inch wide and high, of which a count covers a part."""
    labels = tuple(f"{place} {'a name without end ' * 5}" for place in range(classes))
    problem = SingleLabel(labels)
    scores = torch.eye(classes)
    evaluation = Evaluation(scores, measured(problem, labels, scores), [])
    draw_answers(problem, [LabelledText("", label) for label in labels], evaluation, tmp_path)
    with Image.open(tmp_path / CONFUSION_MATRIX) as picture:
        colours = {colour: count for count, colour in picture.convert("RGB").getcolors(1 << 20)}
    assert colours[ALL_OF_A_ROW] > 0.8 * classes * (110 / 2) ** 2

import numpy as np
import pytest

from ror_port.check.compare import compare, relative_l2


def test_a_difference_has_its_size_its_place_and_the_images_whose_class_changes() -> None:
    expected = np.float64([[3.0, 4.0], [1.0, 0.0]])
    actual = expected.copy()
    actual[1, 1] = 2.0
    difference = compare(actual, expected)
    assert difference.worst == (1, 1)
    assert difference.max_abs == 2
    assert difference.relative_l2 == pytest.approx(2 / np.sqrt(26))
    assert (difference.same_top1, difference.changed_top1, difference.images) == (1, 1, 2)
    assert not difference.within(1.0)  # a prediction changed, whatever the tolerance
    assert str(difference) == "relative L2 error 3.9e-01, largest difference 2.0e+00, same top-1 class on 1 of 2 images"


def test_what_is_not_a_number_is_within_no_tolerance() -> None:
    expected = np.ones((1, 3))
    assert not compare(expected * np.nan, expected).within(np.inf)


def test_shapes_that_differ_are_not_broadcast() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        relative_l2(np.zeros((2, 10)), np.zeros((1, 10)))

import numpy as np
import pytest

from genuine import PRE_ROR
from ror_port.check import compare as parity
from ror_port.source.port import load


def test_difference_names_the_worst_element_and_what_would_pass() -> None:
    expected = np.float64([[3.0, 4.0], [1.0, 0.0]])
    actual = expected.copy()
    actual[1, 1] = 2.0
    difference = parity.compare(actual, expected)
    assert difference.worst == (1, 1)
    assert difference.max_abs == 2
    assert difference.relative_l2 == pytest.approx(2 / np.sqrt(26))
    assert (difference.same_answers, difference.answers) == (1, 2)
    assert not difference.within(1.0)  # an answer changed, whatever the tolerance


def test_shapes_that_differ_are_not_broadcast() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        parity.compare(np.zeros((2, 10)), np.zeros((1, 10)))


def test_images_are_seeded_and_without_symmetry() -> None:
    images = parity.images((32, 32, 3))
    np.testing.assert_array_equal(images, parity.images((32, 32, 3)))
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    for other in (images[:, ::-1], images[:, :, ::-1], images.swapaxes(1, 2), images[..., ::-1]):
        assert np.linalg.norm(images - other) / np.linalg.norm(images) > 0.2


def test_epsilon_effect_is_that_of_the_other_era(genuine) -> None:
    source = genuine(PRE_ROR[0])
    with load(source.weights) as port:
        images = parity.images((32, 32, 3), count=2)
        effect = parity.epsilon_effect(port, images, parity.expected(port, images))
    assert (effect.epsilon, effect.other) == (1e-3, 1e-5)
    assert 1e-4 < effect.difference.relative_l2 < 0.1

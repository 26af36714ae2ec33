import numpy as np

from ror_port.check.classification import are_probabilities, same_top1, seeded_images


def test_images_are_seeded_and_without_symmetry() -> None:
    images = seeded_images((32, 32, 3))
    np.testing.assert_array_equal(images, seeded_images((32, 32, 3)))
    assert np.abs(images - seeded_images((32, 32, 3), seed=1)).max() > 0.1
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    for other in (images[:, ::-1], images[:, :, ::-1], images.swapaxes(1, 2), images[..., ::-1]):
        assert np.linalg.norm(images - other) / np.linalg.norm(images) > 0.2


def test_top1_classes_are_compared_image_by_image() -> None:
    scores = np.float64([[1, 2, 3], [3, 2, 1], [1, 3, 2]])
    assert same_top1(scores, scores * 2) == 3
    assert same_top1(scores, scores[::-1]) == 1


def test_logits_are_not_taken_for_probabilities() -> None:
    assert are_probabilities(np.float32([[0.25, 0.75], [1, 0]]))
    assert not are_probabilities(np.float32([[0.25, 0.75], [-1, 2]]))
    assert not are_probabilities(np.float32([[0.25, 0.75], [1, 1]]))

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ror_port import layout as layouts
from ror_port.layout import NCHW_TO_NHWC, SAME, SLAB, Arranged, Layout, PermuteFlattened, flip, transposition

OIHW_TO_HWIO, HWIO_TO_OIHW = transposition("OIHW", "HWIO"), transposition("HWIO", "OIHW")
IO_TO_OI = transposition("IO", "OI")
FLIP_HW_OF_HWIO = flip("HWIO")

SHAPES = hnp.array_shapes(min_dims=4, max_dims=4, max_side=4)
KERNELS = st.one_of(  # every bit pattern there is: negative zero, denormals, NaN with a payload
    hnp.arrays(np.uint32, SHAPES).map(lambda bits: bits.view(np.float32)),
    hnp.arrays(np.uint64, SHAPES).map(lambda bits: bits.view(np.float64)),
)
FOUR_AXES = [OIHW_TO_HWIO, HWIO_TO_OIHW, FLIP_HW_OF_HWIO, NCHW_TO_NHWC, SAME, OIHW_TO_HWIO | FLIP_HW_OF_HWIO]


def same_bytes(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("layout", FOUR_AXES)
@given(kernel=KERNELS)
def test_inverse_undoes(layout: Layout, kernel: np.ndarray) -> None:
    assert same_bytes(layout.inverse(layout(kernel)), kernel)
    assert same_bytes(layout(layout.inverse(kernel)), kernel)
    assert layout(kernel).shape == layout.shape(kernel.shape)


@given(height=st.integers(1, 4), width=st.integers(1, 4), channels=st.integers(1, 5), units=st.integers(1, 3))
def test_dense_rows_follow_the_flattened_map(height: int, width: int, channels: int, units: int) -> None:
    rows = Layout((PermuteFlattened((channels, height, width), (1, 2, 0)),))
    kernel = np.arange(height * width * channels * units, dtype=np.float32).reshape(-1, units)
    image = np.arange(height * width * channels, dtype=np.float32).reshape(height, width, channels) + 1
    channels_first = image.transpose(2, 0, 1).ravel()
    np.testing.assert_allclose(image.ravel() @ rows(kernel), channels_first @ kernel)
    assert same_bytes(rows.inverse(rows(kernel)), kernel)


def test_axes_go_where_their_letters_say() -> None:
    oihw = np.zeros((5, 4, 3, 2), np.float32)
    oihw[4, 1, 2, 0] = 1  # out 4, in 1, row 2, column 0
    assert OIHW_TO_HWIO(oihw)[2, 0, 1, 4] == 1
    assert IO_TO_OI(np.float32([[1, 2, 3]])).tolist() == [[1], [2], [3]]
    assert NCHW_TO_NHWC(oihw)[4, 2, 0, 1] == 1


def test_an_axis_of_another_length_is_no_flattened_grid() -> None:
    with pytest.raises(ValueError, match="an axis of length 7 is no flattened"):
        PermuteFlattened((2, 2, 2), (1, 2, 0)).view(np.zeros((7, 3)))


def test_a_flip_is_of_spatial_axes_alone() -> None:
    assert flip("IO") == SAME
    assert flip("KIO", "K")(np.arange(3).reshape(3, 1, 1)).ravel().tolist() == [2, 1, 0]


def test_flip_turns_a_kernel_by_180_degrees() -> None:
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3, 1, 1)
    assert FLIP_HW_OF_HWIO(kernel)[..., 0, 0].tolist() == [[5, 4, 3], [2, 1, 0]]


def test_a_kernel_of_three_to_three_channels_is_rearranged_although_its_shape_stays() -> None:
    kernel = np.arange(81, dtype=np.float32).reshape(3, 3, 3, 3)
    moved = (OIHW_TO_HWIO | FLIP_HW_OF_HWIO)(kernel)
    assert moved.shape == kernel.shape
    for out, inp, row, column in np.ndindex(3, 3, 3, 3):
        assert moved[row, column, inp, out] == kernel[out, inp, 2 - row, 2 - column]


def test_a_flipped_1x1_kernel_has_strides_that_pytorch_takes() -> None:
    moved = (OIHW_TO_HWIO | FLIP_HW_OF_HWIO)(np.ones((4, 2, 1, 1), np.float32))
    assert moved.flags.c_contiguous
    assert min(moved.strides) > 0


def test_a_copy_shares_no_memory() -> None:
    kernel = np.ones((1, 1, 2, 2), np.float32)
    assert not np.shares_memory(SAME(kernel), kernel)


def test_a_kernel_larger_than_a_slab_is_copied_whole() -> None:
    kernel = np.random.default_rng(0).normal(size=(5, 2 * SLAB + 3, 3, 3)).astype(np.float32)
    moved = (OIHW_TO_HWIO | FLIP_HW_OF_HWIO)(kernel)
    assert same_bytes(moved, np.array(kernel.transpose(2, 3, 1, 0)[::-1, ::-1], order="C"))


ROWS = Layout((PermuteFlattened((3, 2, 5), (1, 2, 0)),))


@pytest.mark.parametrize("limit", [1, 40, 400, 1 << 20])
@pytest.mark.parametrize(
    ("layout", "shape"),
    [
        (ROWS, (30, 7)),
        (ROWS | transposition("IO", "OI"), (30, 7)),
        (ROWS | ROWS.inverse, (30, 7)),
        (ROWS | Layout((PermuteFlattened((10, 3), (1, 0)),)), (30, 7)),
        (OIHW_TO_HWIO | FLIP_HW_OF_HWIO, (7, 6, 3, 2)),
        (Layout(flip("K", "K").steps), (30,)),
        (SAME, (30, 7)),
        (ROWS, (30, 0)),
        (SAME, ()),
    ],
)
def test_blocks_are_the_whole(layout, shape, limit, monkeypatch) -> None:
    monkeypatch.setattr(layouts, "BLOCK_BYTES", limit)
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    expected = layout(array)
    found = np.full_like(expected, -1)
    blocks = list(layout.applied(Arranged.of(array)).blocks())
    for first, block in blocks:
        assert block.flags.c_contiguous
        assert block.nbytes <= max(limit, 4) or np.shares_memory(block, array)
        found[tuple(slice(at, at + size) for at, size in zip(first, block.shape, strict=True))] = block
    assert same_bytes(found, expected)
    assert b"".join(block.tobytes() for _, block in blocks) == expected.tobytes()

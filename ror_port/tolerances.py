"""The only tolerances of the project. All are relative L2 errors: ‖actual − expected‖ / ‖expected‖.

Conversion itself has none: rearranged tensors are compared byte for byte.
"""

FLOAT32 = 1e-5
"""A float32 port against Theano, in float32 or float64.

Theano's own float32 results differ from its float64 results by 0.8e-6 to 4.8e-6 on these networks; the sum of
its error and the port's was at most 6.4e-6. Every known mistake of a port costs more than 5e-5.
"""

FLOAT64 = 1e-12
"""A float64 port, and the NumPy reference, against float64 Theano: measured 1e-15 to 6e-15, a few ulps a layer."""


KERAS_IN_FLOAT32 = FLOAT32
"""A float64 model in Keras 3 on its torch and JAX backends, against float64 Theano.

There BatchNormalization casts its input to ``result_type(dtype, "float32")``, which is float32 (Keras 3.15); on
TensorFlow it is float64. Measured: up to 1.5e-6 on the logits, as much as float32 itself.
"""


STEP_FLOAT32 = 1e-5
STEP_FLOAT64 = 1e-10
"""Gradients, and weights after one step, against genuine Theano: measured 1.2e-6 and 7e-15."""

BFLOAT16 = 0.5
"""bfloat16 autocast is only expected to be in the neighbourhood: 8 bits, some dozens of layers."""


MARGIN = 8
"""How many times what float32 costs the reference itself an artifact may differ from it.

Two float32 runtimes that sum in different orders are each off by about that. Over all fixtures and runtimes the most
that was measured is 1.4 times it (`tests/check/test_verify.py`), over genuine public networks 4.2 times: five
convolutions in TensorFlow, 5.5e-7 against 1.3e-7 in NumPy. The least that a known mistake costs is 5e-5.
"""


NOTICEABLE = 0.1
"""Change of outputs that are no scores of classes from which on an assumption is warned of.

Where there are classes, their change decides. Measured: an epsilon of 1e-5 instead of 1e-3 changes the logits of
trained networks by 0.008 and 0.009, a standard deviation taken for a variance by more than 1.
"""

STATISTICS_FIT = 0.05
"""Mean divergence up to which running statistics are those of the images at hand; see `diagnose.training`.

Measured: 0.0010 on the digits network, trained in Theano; 0.65 and 0.68 on networks with random statistics.
"""

STATISTICS_VOTES = 5
"""Standard deviations of a fair coin from which on the votes of the channels are believed.

Measured: 9.7 on the digits network with 512 images, 1.9 with 64; -1.8 to 0.4 on networks with random weights. Channels
of a layer are not independent, hence more than the usual 3.
"""


def for_dtype(dtype: str) -> float:
    return {"float32": FLOAT32, "float64": FLOAT64}[dtype]

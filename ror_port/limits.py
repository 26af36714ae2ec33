"""How much of a file is believed. Each limit lies far above any real network and far below what could hurt."""

MAX_LAYERS = 10_000
"""RoR-3-1202 has about 6,000 layers; the largest net in these families that anybody published."""

MAX_NAME = 1_000
"""Characters of a layer or weight name; Keras' own have some dozens."""

MAX_WEIGHTS_PER_LAYER = 64
"""Keras' most generous layer of that time (a bidirectional LSTM, one array a gate) had 24; ours have 4."""

MAX_TENSOR_BYTES = 1 << 30
"""The largest kernel here (width 20) has 59 MB in float32."""

MAX_CONFIG_BYTES = 16 << 20
"""``model_config`` of RoR-3-164 has 0.3 MB."""

MAX_DATA_BYTES = 4 << 30
"""A set of labelled images; CIFAR-10 has 0.2 GB."""

MAX_PICTURE_SIDE = 4096
"""Rows or columns of a picture, as ``--input-size`` allows."""

MAX_ONNX_BYTES = 2 << 30
"""What protobuf takes; the largest network here (width 20) has 0.6 GB."""

MAX_ARCHIVE_MEMBER_BYTES = 4 << 30
"""The weights inside a ``.keras`` archive; the largest network here (width 20) has 0.6 GB."""

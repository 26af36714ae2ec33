"""How much of a file is believed. Each limit lies far above any real network and far below what could hurt."""

MAX_LAYERS = 10_000
"""RoR-3-1202 has about 6,000 layers; the largest net in these families that anybody published."""

MAX_YAML_BYTES = 1 << 20
"""An architecture as YAML, which takes 100 times as long to read as JSON; genuine ones have 2 to 60 kB."""

MAX_YAML_VALUES = 1_000_000
"""What an architecture as YAML may come to, every alias counted as often as it stands."""

MAX_FILES_BESIDE = 50
"""Files that may hold an architecture, in the folder of a weights file."""

MAX_NESTING = 50
"""Models within models. People nest two or three deep."""

MAX_NAME = 1_000
"""Characters of a layer or weight name; Keras' own have some dozens."""

MAX_WEIGHTS_PER_LAYER = 64
"""Keras' most generous layer of that time (a bidirectional LSTM, one array a gate) had 24; ours have 4."""

MAX_TENSOR_BYTES = 1 << 30
"""The largest kernel here (width 20) has 59 MB in float32."""

MAX_CHUNK_BYTES = 64 << 20
"""HDF5 takes a chunk into memory whole. h5py makes them of 1 MiB at most; one for each tensor would have 59 MB."""

MAX_CHUNKS = 1 << 16
"""In one file: the largest tensor there may be, in chunks of 16 KiB, the smallest that h5py chooses for it."""

MAX_EXPANSION = 16
"""Bytes that one byte on the disk may stand for, by compression or by holes. Trained weights are noise, which gzip
shrinks by some per cent; with nine in ten of them pruned away, to a tenth."""

MAX_GROWTH = 192 << 20
"""Memory that a file's description of its tensors may take. That of RoR-3-1202 takes 36 MB."""

MAX_DESCRIPTION_BYTES = 32 << 20
"""What is told of a file, as JSON: 0.1 kB a tensor, 0.7 MB for RoR-3-1202, and 40 bytes for each of MAX_CHUNKS."""

BYTES_A_SECOND = 1 << 20
"""Of a file whose description is taken apart: the slowest there is, thousands of tiny layers, takes 4 s for 20 MB."""

MAX_SECONDS = 60
"""For the description of any file, of whatever size."""

MAX_CONFIG_BYTES = 4 << 20
"""``model_config`` of RoR-3-164 has 0.3 MB, of RoR-3-1202 it would have 2.2. JSON grows to 24 times its size when
parsed."""

MAX_PICKLE_BYTES = 4 << 20
"""``data.pkl`` of a PyTorch state dict: some 200 bytes a tensor; RoR-3-1202 has about 7,000."""

MAX_ARCHIVE_DIRECTORY_BYTES = 64 << 10
"""The list of members of a ``.keras`` archive, of which there are three."""

MAX_DATA_BYTES = 4 << 30
"""A set of labelled images; CIFAR-10 has 0.2 GB."""

MAX_PICTURE_SIDE = 4096
"""Rows or columns of a picture, as ``--input-size`` allows."""

MAX_ONNX_BYTES = 2 << 30
"""What protobuf takes; the largest network here (width 20) has 0.6 GB."""

MAX_ARCHIVE_MEMBER_BYTES = 4 << 30
"""The weights inside a ``.keras`` archive; the largest network here (width 20) has 0.6 GB."""

ONNX_COPIES = 6
"""How often a model lies in memory while it is parsed and checked: its bytes, what they mean, and the checker's own."""

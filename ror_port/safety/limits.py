"""Upper bounds enforced on untrusted files. Each is far above any real network and far below what could do harm."""

MAX_LAYERS = 10_000
"""RoR-3-1202, the largest published network of these families, has about 6,000."""

MAX_YAML_BYTES = 1 << 20
"""An architecture as YAML, which takes 100 times as long to read as JSON; genuine ones have 2 to 60 kB."""

MAX_YAML_VALUES = 1_000_000
"""What an architecture as YAML may come to, every alias counted as often as it stands."""

MAX_FILES_BESIDE = 50
"""Files that may hold an architecture, in the folder of a weights file."""

MAX_NESTING = 50
"""Models within models, and levels of a certificate. People nest models two or three deep; a certificate has eight."""

MAX_NAME = 1_000
"""Characters of a layer or weight name; Keras' own have some dozens."""

MAX_WEIGHTS_PER_LAYER = 64
"""The layer of that time with the most, a bidirectional LSTM with one array a gate, had 24; ours have 4."""

MAX_TENSOR_BYTES = 1 << 30
"""The largest kernel here (width 20) has 59 MB in float32."""

MAX_CHUNK_BYTES = 64 << 20
"""A chunk is read whole. h5py makes them of 1 MiB at most; one for each tensor would have 59 MB."""

MAX_CHUNKS = 1 << 16
"""In one file: the largest tensor there may be, in chunks of 16 KiB, the smallest that h5py chooses for it."""

MAX_EXPANSION = 16
"""Bytes that one stored byte may expand to, by compression or by holes. Trained weights are noise, which gzip
compresses by some per cent; with nine in ten of them pruned away, to a tenth."""

MAX_GROWTH = 192 << 20
"""Bytes of memory that describing a file may take. RoR-3-1202 takes 36 MB."""

MAX_DESCRIPTION_BYTES = 32 << 20
"""The description of a file as JSON: 0.1 kB a tensor, 0.7 MB for RoR-3-1202, and 40 bytes for each of MAX_CHUNKS."""

BYTES_PER_SECOND = 1 << 20
"""Of a file that is described, per second of processor time. The slowest there is, of thousands of tiny layers, takes
4 s for 20 MB."""

MAX_SECONDS = 60
"""Of processor time, for the description of any file, of whatever size."""

MAX_IDLE_SECONDS = 5
"""By the clock. A child process whose processor time did not grow for so long is blocked; one that computes gets
some even on a machine with hundreds of busy processes."""

MAX_CONFIG_BYTES = 4 << 20
"""``model_config`` of RoR-3-164 has 0.3 MB, of RoR-3-1202 it would have 2.2. JSON grows to 24 times its size when
parsed."""

MAX_ORIGINAL_BYTES = 2 << 20
"""What an output carries of the file that it came from, as indented JSON. RoR-3-164 would have 0.9 MB. A statement that
would exceed MAX_CONFIG_BYTES by it is written without it."""

MAX_PICKLE_BYTES = 4 << 20
"""``data.pkl`` of a PyTorch state dict: some 200 bytes a tensor; RoR-3-1202 has about 7,000."""

MAX_ARCHIVE_DIRECTORY_BYTES = 64 << 10
"""The list of members of a zip archive; a ``.keras`` has three, an ``.npz`` of images two."""

MAX_DATA_BYTES = 4 << 30
"""A set of labelled images; CIFAR-10 has 0.2 GB."""

MAX_SMALL_DATA_BYTES = 256 << 20
"""What images may come to, however little is stored of them; beyond, MAX_EXPANSION holds. Drawings and digits compress
to a hundredth, and such sets are small: 1,797 digits of 32×32 pixels have 6 MB."""

MAX_PICKLE_VALUES = 500_000
"""Opcodes in a pickle of CIFAR-10: three an image, one batch has 10,000. Each takes 2 µs."""

MAX_CHECK_BYTES = 1 << 30
"""What the outputs of a layer may take on the images that a certificate asks for, as float64; of all layers, where it
has their errors. Eight images, as a check takes by default, are 2 MB on the digits network and 0.2 GB on VGG-16."""

MAX_ARTIFACT_FILES = 1_000
"""In a folder that a certificate names; those that ror-port writes have ten at most."""

MAX_AXES = 8
"""Of an array of images or labels, which has four at most."""

MAX_PIXEL = 2.0
"""Floating-point images with values beyond it, of either sign, are not pixels divided by 255; nor are many that were
standardised, for which the user states the scale."""

MAX_ONNX_BYTES = 2 << 30
"""The most that protobuf parses; the largest network here (width 20) has 0.6 GB."""

MAX_ARCHIVE_MEMBER_BYTES = 4 << 30
"""The weights inside a ``.keras`` archive; the largest network here (width 20) has 0.6 GB."""

ONNX_COPIES = 6
"""How often a model is in memory while it is parsed and validated: its bytes, what is parsed, and the checker's own."""

MAX_SCRIPT_SECONDS = 60
"""Of processor time, for a script of the user's that builds models and trains none. Most take less than one; those that
prepare images of CIFAR-10 take some."""

MAX_SCRIPT_WAIT = 300
"""The same by the clock."""

MAX_SCRIPT_BYTES = 16 << 30
"""Of memory for it: CIFAR-10 as float64, several times."""

MAX_FETCHED_BYTES = 8 << 30
"""Of a file that is fetched. The largest networks of that time have some 0.6 GB, their checkpoints with the state of an
optimizer three times as much."""

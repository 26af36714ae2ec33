"""Arrays and texts as fixtures hold them: an npz, that is a zip of npy, made so that the same gives the same bytes.

All texts lie in one of them, TEXTS, as the JSON of a mapping: apart, their names and headers would take more than they.
"""
from __future__ import print_function

import io
import json
import zipfile

import numpy as np

TEXTS = 'texts'


def as_text(value):
    return value.decode('utf8') if isinstance(value, bytes) else value


def as_json(value):
    return as_array(json.dumps(value, sort_keys=True))


def as_array(text):
    """What stands for a text among arrays: bytes."""
    return np.array(text.encode('utf8'))


def read(path):
    """Key -> array."""
    with np.load(path) as file:
        arrays = dict((key, file[key]) for key in file.files)
    texts = json.loads(as_text(arrays.pop(TEXTS).item()))
    arrays.update((key, as_array(text)) for key, text in texts.items())
    return arrays


def write(path, arrays):
    texts = dict((key, as_text(array.item())) for key, array in arrays.items() if np.asarray(array).dtype.kind == 'S')
    arrays = dict((key, array) for key, array in arrays.items() if key not in texts)
    arrays[TEXTS] = as_json(texts)
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
        for key in sorted(arrays):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(arrays[key], order='C'), allow_pickle=False)
            entry = zipfile.ZipInfo(key + '.npy', (1980, 1, 1, 0, 0, 0))
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            file.writestr(entry, buffer.getvalue())

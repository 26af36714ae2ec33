"""Weights and images from a seed, bit for bit the same on every NumPy since 1.7 and every Python since 2.7.

Only ``RandomState.random_sample`` is drawn from (53 bits of the Mersenne Twister, no libm call), and only
``+ - * / sqrt`` (exactly rounded by IEEE 754) are applied. So a large file need not be stored: the recorder
notes the sha256 of every tensor that genuine Keras wrote, and a test builds them again from here.
"""
import re
import zlib

import numpy as np

IMAGE_CANDIDATES = 64


def _uniform(seed, name, shape, low, high):
    state = np.random.RandomState((seed + zlib.crc32(name.encode('ascii'))) & 0xFFFFFFFF)
    return (low + (high - low) * state.random_sample(shape)).astype('float32')


SPANS = {
    'bias': (-0.2, 0.2), 'b': (-0.2, 0.2), 'beta': (-0.5, 0.5),
    'running_mean': (-0.5, 0.5), 'moving_mean': (-0.5, 0.5),
    'running_std': (0.5, 2.0), 'moving_variance': (0.5, 2.0),
}


def weight(name, shape, seed, kernels='OIHW'):
    """The float32 tensor called `name`: ``convolution2d_7_W`` in Keras 1, ``conv2d_7/kernel`` in Keras 2, ``:0`` or not.

    kernels: axes of a convolution kernel's shape. Nothing in a tensor is symmetric or neutral: kernels differ
    under every flip and transposition, gammas have both signs, means are off zero and variances off one, so that
    whatever a port swaps or forgets shows. Convolution kernels have variance 1 / (2 fan_in), which keeps the
    activations of a 40-layer network of order one.
    """
    name = name.split(':')[0]
    role = next(role for role in list(SPANS) + ['gamma', 'kernel', 'W'] if name.endswith(('_' + role, '/' + role)))
    if role in ('W', 'kernel'):
        fan_in = int(np.prod(shape[1:] if kernels == 'OIHW' else shape[:3])) if len(shape) == 4 else shape[0]
        limit = np.sqrt((1.5 if len(shape) == 4 else 3.0) / fan_in)
        return _uniform(seed, name, shape, -limit, limit)
    if role == 'gamma':
        signs = np.where(_uniform(seed, name + '/sign', shape, 0, 1) < 0.3, -1, 1)
        return (signs * _uniform(seed, name, shape, 0.5, 1.5)).astype('float32')
    return _uniform(seed, name, shape, *SPANS[role])


def images(seed, count=IMAGE_CANDIDATES, channels=3, size=32):
    """Candidate inputs, float32 NCHW in [0, 1], multiples of 1/255: noise on bright, dark and sloping grounds."""
    noise = _uniform(seed, 'noise', (count, channels, size, size), -0.5, 0.5)
    ground = _uniform(seed, 'ground', (count, channels, 1, 1), 0, 1)
    slope = _uniform(seed, 'slope', (count, channels, 2, 1, 1), -1, 1)
    contrast = _uniform(seed, 'contrast', (count, 1, 1, 1), 0, 1)
    ramp = (np.arange(size, dtype='float32') / (size - 1) - 0.5).astype('float32')
    picture = ground + slope[:, :, 0] * ramp[:, None] + slope[:, :, 1] * ramp[None, :] + contrast * noise
    return (np.rint(255 * np.clip(picture, 0, 1)) / 255).astype('float32')


def varied(logits, count):
    """Indices of `count` inputs whose answers differ as much as they can: one of each class, then again."""
    answers, chosen = logits.argmax(axis=1), []
    while len(chosen) < count:
        seen = set()
        for index, answer in enumerate(answers):
            if index not in chosen and answer not in seen and len(chosen) < count:
                chosen.append(index)
                seen.add(answer)
    return sorted(chosen)


APPLICATION_SEED = 16


def application_weight(network, name, shape, ordering):
    """A tensor of one of Keras' own large networks, stored in a dim ordering; Keras 2 has one order of kernels' axes.

    Kernels of the networks that add nothing up have variance 2 / fan_in, or the image would hardly reach the end. A
    depthwise kernel has a fan_in of its own channel. Of a GRU each gate is another one.
    """
    old = re.match('(.*)_([WUb])_([zrh])$', name)
    if old:
        layer, role, gate = old.groups()
        name = '%s/%s/%s_%s' % (gate, role, layer, 'b' if role == 'b' else 'W')
    array = weight(name, shape, APPLICATION_SEED, 'OIHW' if ordering == 'th' and '/' not in name else 'HWIO')
    if 'depthwise' in name:
        array = array * np.float32(np.sqrt(shape[2]))
    plain = network.startswith(('vgg', 'inception', 'mobilenet'))
    return array * np.float32(2) if plain and len(shape) == 4 else array


def application_images(ordering, shape=(3, 224, 224)):
    """Two, in [-3.5, 4.5]: pixels as these networks were trained on would drive a softmax of random weights to 1.

    shape: channels, rows and columns of one.
    """
    channels, rows, columns = shape
    made = images(APPLICATION_SEED, 2, channels, max(rows, columns))[:, :, :rows, :columns]
    made = made * np.float32(8) - np.float32(3.5)
    return made if ordering == 'th' else made.transpose(0, 2, 3, 1)

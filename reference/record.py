"""Record what genuine Keras 1 or 2 computes, on Theano or TensorFlow 1. Python 2.7 and 3.6; called by ./record.

Four kinds of record, each a folder of ``fixtures/`` with the weights as Keras saved them, ``record_<dtype>.h5``
and ``manifest_<dtype>.json``. Maps are (batch, channels, rows, columns) whatever the dim ordering; gradients and
weights lie as they do in the session.
"""
from __future__ import print_function

import argparse
import hashlib
import io
import json
import os
import platform
import tempfile

import h5py
import keras
import numpy as np
from keras import backend as K

import networks
import recipe

BACKEND = K.backend() if hasattr(K, 'backend') else K._BACKEND  # Keras 1.0 has no function for it
if BACKEND == 'theano':
    import theano as backend
else:
    import tensorflow as backend

TAPPED = 1  # images for which the outputs of layers are kept
GRID = (0, 1, 2, -1)  # with the middle: rows and columns kept by --layers grid; padding and striding show at the edges


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('kind', choices=['inference', 'training', 'digits', 'checkpoint'])
    parser.add_argument('folder')
    parser.add_argument('--family', choices=sorted(networks.FAMILIES), default='ror_wrn')
    parser.add_argument('--blocks', type=int, required=True, help='N')
    parser.add_argument('--width', type=int, required=True, help='k')
    parser.add_argument('--classes', type=int, default=10)
    parser.add_argument('--dropout', type=float, default=0.0)
    parser.add_argument('--size', type=int, default=32, help='rows and columns of an image')
    parser.add_argument('--after-another', action='store_true', help='build another network first: names count on')
    parser.add_argument('--images', type=int, default=8)
    parser.add_argument('--amplitude', type=int, default=1,
                        help='factor on the images: against the many offsets of a deep random network, pixels in '
                             '[0, 1] matter so little that float32 loses their effect')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--layers', choices=['all', 'grid', 'stages'], default='all',
                        help='every layer in full; every layer at GRID; the stages at GRID')
    parser.add_argument('--keep', choices=['weights', 'float64', 'model'], nargs='*', default=['weights'],
                        help='files to keep besides the record: weights as float32 and float64 sessions save them, '
                             'the full model; of what is not kept there is the sha256 of each tensor')
    args = parser.parse_args()
    if not os.path.isdir(args.folder):
        os.makedirs(args.folder)
    if args.after_another:
        networks.ror_wrn(1, 1)
    {'inference': inference, 'training': training, 'digits': digits, 'checkpoint': checkpoint}[args.kind](
        build(args), args)


def build(args):
    return networks.FAMILIES[args.family](args.blocks, args.width, args.classes, args.dropout, args.size)


def inference(model, args):
    """Logits and layer outputs of a network with the recipe's weights."""
    set_recipe_weights(model, args.seed)
    candidates = recipe.images(args.seed, size=args.size) * np.float32(args.amplitude)
    bias = layer_weights(model.layers[-1])[1]
    if K.floatx() == 'float32':
        # A random network favours one class whatever it sees. Centring its answers lets them differ, so that a
        # wrong argmax can show; the bias that does it is no longer the recipe's and is kept in the record.
        answers = run(model, [logits(model)], candidates)[0]
        K.set_value(bias, K.get_value(bias) - answers.mean(axis=0))
        images = candidates[recipe.varied(answers - answers.mean(axis=0), args.images)]
        weights = save(model, args, 'weights.h5')
    else:
        with h5py.File(os.path.join(args.folder, 'record_float32.h5'), 'r') as record:
            images = record['images'][:]  # the ones float32 chose
            K.set_value(bias, record['weights/' + bias.name][:])
        weights = save(model, args, 'weights_float64.h5')
    if 'model' in args.keep and K.floatx() == 'float32':
        model.save(os.path.join(args.folder, 'model.h5'))
    write_inference(model, args, images, weights)


def checkpoint(model, args):
    """A full model as the ModelCheckpoint callback saves it during training with Adam, and what it answers."""
    set_recipe_weights(model, args.seed)
    images = recipe.images(args.seed, 16, size=args.size)
    path = os.path.join(args.folder, 'model.h5')
    if K.floatx() == 'float32':
        model.compile(keras.optimizers.Adam(lr=1e-4), 'categorical_crossentropy')
        labels = np.eye(args.classes)[np.arange(16) % args.classes]
        model.fit(as_fed(images), labels, batch_size=8, nb_epoch=1, verbose=0,
                  callbacks=[keras.callbacks.ModelCheckpoint(path, monitor='loss')])
        model = keras.models.load_model(path)
    else:
        model.load_weights(path)
    write_inference(model, args, images[:args.images], tensors(model))


def write_inference(model, args, images, weights):
    bias = layer_weights(model.layers[-1])[1]
    features = model.layers[-2].output
    layers = stage_layers(model) if args.layers == 'stages' else model.layers[1:-1]
    outputs = run(model, [layer.output for layer in layers], images[:TAPPED])
    if channels_last():
        outputs = [output.transpose(0, 3, 1, 2) if output.ndim == 4 else output for output in outputs]
    if args.layers != 'all':
        outputs = [on_grid(output) for output in outputs]
    arrays = dict(('layers/' + layer.name, output) for layer, output in zip(layers, outputs))
    arrays['images'] = images
    arrays['weights/' + bias.name] = K.get_value(bias)
    arrays['features'], arrays['logits'], arrays['probabilities'] = run(
        model, [features, logits(model), model.output], images)
    write(args, model, arrays, weights, {'weights': 'recipe.weight, seed %d, save for the head bias, which is in the record' % args.seed,
                                  'images': 'recipe.images, seed %d; chosen by recipe.varied' % args.seed,
                                  'layers': 'test phase, image 0, ' + args.layers})


def training(model, args):
    """Gradients of one batch, and every weight after one step of plain SGD."""
    set_recipe_weights(model, args.seed)
    images = recipe.images(args.seed, 8)
    labels = np.eye(10, dtype=K.floatx())[np.arange(8)]
    weights = save(model, args, 'weights.h5' if K.floatx() == 'float32' else 'weights_float64.h5')
    rate = 0.1
    model.compile(keras.optimizers.SGD(lr=rate), 'categorical_crossentropy')
    gradients = K.function(
        [model.input, model.targets[0], model.sample_weights[0], K.learning_phase()],
        [model.total_loss] + K.gradients(model.total_loss, model.trainable_weights),
    )([images, labels, np.ones(8, K.floatx()), 1])
    arrays = {'images': images, 'labels': labels, 'loss': gradients[0]}
    for variable, gradient in zip(model.trainable_weights, gradients[1:]):
        arrays['gradients/' + variable.name] = gradient
    model.train_on_batch(images, labels)
    for variable, value in zip(weights_of(model), K.batch_get_value(weights_of(model))):
        arrays['after/' + variable.name] = value
    if K.floatx() == 'float32' and 'model' in args.keep:
        model.save(os.path.join(args.folder, 'model.h5'))
    write(args, model, arrays, weights, {'weights': 'recipe.weight, seed %d' % args.seed,
                                  'step': 'SGD, rate %g, no momentum, one batch, train phase' % rate,
                                  'loss': 'categorical cross-entropy, mean over the batch',
                                  'model.h5': 'model.save after the step'})


def digits(model, args):
    """Train on scikit-learn's digits, then record the answers on the test split."""
    path = os.path.join(args.folder, 'digits.h5')
    if K.floatx() == 'float32':
        write_digits(path)
    with h5py.File(path, 'r') as data:
        x_train, y_train, x_test, y_test = (data[name][:] for name in ('x_train', 'y_train', 'x_test', 'y_test'))
    images = {'train': as_input(x_train), 'test': as_input(x_test)}
    how = {'images': 'scikit-learn digits, split and scaled by write_digits'}
    if K.floatx() == 'float32':
        np.random.seed(args.seed)
        model = build(args)  # initialised under the seed; auto-names go on counting
        epochs = 12
        for rate, count in ((0.05, epochs - 4), (0.005, 4)):
            model.compile(keras.optimizers.SGD(lr=rate, momentum=0.9, nesterov=True),
                          'categorical_crossentropy', metrics=['accuracy'])
            model.fit(images['train'], np.eye(10)[y_train], batch_size=32, nb_epoch=count, verbose=2)
        how['training'] = '%d epochs of SGD with Nesterov momentum 0.9, rate 0.05 then 0.005, batch 32, seed %d' % (
            epochs, args.seed)
        weights = save(model, args, 'weights.h5')
    else:
        model.load_weights(os.path.join(args.folder, 'weights.h5'))
        weights = tensors(model)
    arrays = dict(zip(('logits', 'probabilities'), run(model, [logits(model), model.output], images['test'])))
    accuracy = float((arrays['probabilities'].argmax(axis=1) == y_test).mean())
    print('test accuracy', accuracy)
    write(args, model, arrays, weights, dict(how, test_accuracy=accuracy))


def write_digits(path):
    """1797 digits of 8x8 in 17 greys -> uint8 NHWC, 32x32x3: each pixel 4x4, red full, green 3/4, blue 1/2.

    A fifth, drawn under a fixed seed, is the test split.
    """
    from sklearn.datasets import load_digits
    bunch = load_digits()
    grey = bunch.images.repeat(4, axis=1).repeat(4, axis=2)
    colour = np.rint(grey[..., None] / 16 * 255 * np.array([1, 0.75, 0.5])).astype('uint8')
    order = np.random.RandomState(2016).permutation(len(colour))
    test, train = order[:len(order) // 5], order[len(order) // 5:]
    with h5py.File(path, 'w') as file:
        for name, index in (('train', train), ('test', test)):
            for prefix, array in (('x_', colour), ('y_', bunch.target.astype('uint8'))):
                file.create_dataset(prefix + name, data=array[index], compression='gzip', shuffle=False)


def as_input(pictures):
    return (pictures.transpose(0, 3, 1, 2) / 255.0).astype(K.floatx())


def set_recipe_weights(model, seed):
    K.batch_set_value([(v, recipe.weight(v.name, K.get_value(v).shape, seed, kernels())) for v in weights_of(model)])


def logits(model):
    """The backend's own expression of what enters the softmax."""
    head = model.layers[-1]
    kernel, bias = layer_weights(head)
    return K.dot(head.input, kernel) + bias


def stage_layers(model):
    """Stem and stages: the stem's convolution, what a stage hands to the next one, and what the head is given."""
    pools = [layer for layer in model.layers if type(layer).__name__ == 'MaxPooling2D']
    sums = [layer for layer in model.layers if type(layer).__name__ in ('Merge', 'Add')]
    return [model.layers[1]] + pools + [sums[-1]]


def on_grid(output):
    if output.ndim != 4 or output.shape[2] <= 8:
        return output
    size = output.shape[2]
    keep = sorted(set(i % size for i in GRID) | set((size // 2 - 1, size // 2)))
    return output[:, :, keep][:, :, :, keep]


def channels_last():
    return not networks.channels_first()


def kernels():
    """Axes of a convolution kernel: Keras 1 went by the dim ordering, Keras 2 has but one."""
    return 'OIHW' if networks.channels_first() and not networks.KERAS_2 else 'HWIO'


def as_fed(images):
    images = images.astype(K.floatx())
    return images.transpose(0, 2, 3, 1) if channels_last() else images


def run(model, outputs, images, batch=32):
    function = K.function([model.input, K.learning_phase()], outputs)
    parts = [function([as_fed(images[i:i + batch]), 0]) for i in range(0, len(images), batch)]
    return [np.concatenate(arrays) for arrays in zip(*parts)]


def weights_of(model):
    """In Keras 1.0 neither a model nor every layer of it has `weights`."""
    return [variable for layer in model.layers for variable in layer_weights(layer)]


def layer_weights(layer):
    return layer.trainable_weights + layer.non_trainable_weights


def tensors(model):
    return dict((v.name, K.get_value(v)) for v in weights_of(model))


def save(model, args, name):
    if {'weights.h5': 'weights', 'weights_float64.h5': 'float64'}[name] in args.keep:
        model.save_weights(os.path.join(args.folder, name), overwrite=True)
    return tensors(model)


def write(args, model, arrays, weights, how):
    name = os.path.join(args.folder, 'record_%s.h5' % K.floatx())
    with h5py.File(name, 'w') as file:
        for key, array in sorted(arrays.items()):
            array = np.asarray(array)
            options = {'compression': 'gzip', 'compression_opts': 9, 'shuffle': True} if array.size > 64 else {}
            file.create_dataset(key, data=array, **options)
    later = 'float64' if K.floatx() == 'float32' else None  # what an earlier run may have left
    files = [f for f in sorted(os.listdir(args.folder)) if f.endswith('.h5') and not (later and later in f)]
    manifest = {
        'made_by': 'reference/record.py ' + ' '.join('%s=%s' % item for item in sorted(vars(args).items())
                                                     if item[0] != 'folder'),
        'network': {'family': args.family, 'blocks': args.blocks, 'width': args.width, 'classes': args.classes,
                    'dropout': args.dropout, 'size': args.size},
        'backend': BACKEND,
        'kernels': kernels(),
        'attributes': saved_attributes(model),
        'seed': args.seed,
        'dtype': K.floatx(),
        'versions': {'keras': keras.__version__, backend.__name__: backend.__version__, 'numpy': np.__version__,
                     'h5py': h5py.__version__, 'python': platform.python_version()},
        'how': how,
        'sha256': dict((f, sha256(io.open(os.path.join(args.folder, f), 'rb').read())) for f in files),
        'layers': [[layer.name, [[v.name, list(weights[v.name].shape), sha256(weights[v.name].tobytes())]
                                 for v in layer_weights(layer)]] for layer in model.layers],
    }
    with io.open(os.path.join(args.folder, 'manifest_%s.json' % K.floatx()), 'wb') as file:
        file.write(json.dumps(manifest, indent=1, sort_keys=True, separators=(',', ': ')).encode('ascii') + b'\n')


def saved_attributes(model):
    """Root attributes of a weights file of this session, other than the layers' names."""
    path = os.path.join(tempfile.mkdtemp(), 'weights.h5')
    model.save_weights(path)
    with h5py.File(path, 'r') as file:
        return dict((key, value.decode() if isinstance(value, bytes) else value)
                    for key, value in file.attrs.items() if not key.startswith('layer_names'))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


if __name__ == '__main__':
    main()

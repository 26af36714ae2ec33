#!/usr/bin/env python3
"""Trains a classifier of short sound clips.

    train_args.py --data clips.npz --epochs 40
"""
import argparse
import json
import logging
import os

import numpy as np
from keras.callbacks import EarlyStopping, ModelCheckpoint, TensorBoard
from keras.layers import Activation, BatchNormalization, Conv1D, Dense, Dropout, GlobalMaxPooling1D, MaxPooling1D
from keras.layers import LeakyReLU
from keras.models import Sequential
from keras.optimizers import Adam

log = logging.getLogger(__name__)

CLIP = 64
LABELS = ["silence", "speech", "music", "engine", "rain"]


def build_model(filters=4, kernel=5, learning_rate=1e-3):
    model = Sequential(name="clips")
    model.add(Conv1D(filters, kernel, strides=2, padding="same", input_shape=(CLIP, 1)))
    model.add(BatchNormalization())
    model.add(LeakyReLU(0.125))
    model.add(MaxPooling1D(2))
    for factor in (2, 3):
        model.add(Conv1D(filters * factor, kernel, padding="causal", dilation_rate=factor, use_bias=False))
        model.add(BatchNormalization(scale=False))
        model.add(LeakyReLU(alpha=0.25))
    model.add(GlobalMaxPooling1D())
    model.add(Dropout(0.4))
    model.add(Dense(len(LABELS)))
    model.add(Activation("softmax"))
    model.compile(Adam(learning_rate), "categorical_crossentropy", ["accuracy", "top_k_categorical_accuracy"])
    return model


def batches(path, size):
    data = np.load(path)
    while True:
        chosen = np.random.choice(len(data["x"]), size)
        yield data["x"][chosen], np.eye(len(LABELS))[data["y"][chosen]]


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="npz with x and y")
    parser.add_argument("--out", default="runs/latest")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--gpu", type=int, default=0)
    return parser.parse_args()


def main():
    args = parse()
    logging.basicConfig(level=logging.INFO)
    os.environ["CUDA_VISIBLE_DEVICES"] = str(args.gpu)
    os.makedirs(args.out, exist_ok=True)
    model = build_model()
    with open(os.path.join(args.out, "model.json"), "w") as f:
        f.write(model.to_json(indent=2))
    history = model.fit_generator(
        batches(args.data, args.batch_size), steps_per_epoch=100, epochs=args.epochs, verbose=2,
        callbacks=[EarlyStopping(monitor="loss", patience=4), TensorBoard(args.out),
                   ModelCheckpoint(os.path.join(args.out, "best.h5"), save_weights_only=True)])
    log.info("last loss %.3f", history.history["loss"][-1])
    with open(os.path.join(args.out, "history.json"), "w") as f:
        json.dump(history.history, f)


if __name__ == "__main__":
    main()

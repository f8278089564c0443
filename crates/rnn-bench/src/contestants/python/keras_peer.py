"""Keras on TensorFlow, as in the lesson. Epochs are loops of train_on_batch: the wall time of fit() holds idle waits."""

import os
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

THREADS = int(os.environ["OMP_NUM_THREADS"])
tf.config.threading.set_intra_op_parallelism_threads(THREADS)
tf.config.threading.set_inter_op_parallelism_threads(THREADS)

import keras
from keras import layers


def timed(work):
    def run(calls):
        start = time.perf_counter()
        for _ in range(calls):
            work()
        return time.perf_counter() - start

    return run


def sentiment_model(words, tokens, recurrent_dropout):
    model = keras.Sequential(
        [
            layers.Input((tokens,), dtype="int32"),
            layers.Embedding(words, 128),
            layers.LSTM(128, dropout=0.2, recurrent_dropout=recurrent_dropout),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model


def rows(path, width):
    values = np.fromfile(path, dtype="<i4")
    return values.reshape(-1, width) if width else values


def epochs(spec, model, inputs, targets):
    random, batch = np.random.default_rng(0), spec["batch"]

    def epoch():
        order = random.permutation(len(targets))
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            model.train_on_batch(inputs(chosen), targets[chosen])

    # The graph is traced once for each batch size before the clock runs: the full one and the last of the epoch.
    for size in {batch, len(targets) % batch} - {0}:
        model.train_on_batch(inputs(np.arange(size)), targets[:size])
    return timed(epoch)


def sentiment(spec):
    ids, labels = rows(spec["ids"], spec["tokens"]), rows(spec["labels"], None).astype(np.float32)
    model = sentiment_model(spec["words"], spec["tokens"], spec["recurrent_dropout"])
    return epochs(spec, model, lambda chosen: ids[chosen], labels)


def evaluation(spec):
    ids, labels = rows(spec["ids"], spec["tokens"]), rows(spec["labels"], None).astype(np.float32)
    model, batch = sentiment_model(spec["words"], spec["tokens"], 0.0), spec["batch"]

    def whole():
        for start in range(0, len(labels), batch):
            model.test_on_batch(ids[start : start + batch], labels[start : start + batch])

    for size in {batch, len(labels) % batch} - {0}:
        model.test_on_batch(ids[:size], labels[:size])
    return timed(whole)


def chargen_model(window, symbols, hidden):
    model = keras.Sequential(
        [layers.Input((window, symbols)), layers.GRU(hidden), layers.Dense(symbols, activation="softmax")]
    )
    model.compile(loss="sparse_categorical_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
    return model


def chargen(spec):
    text, window, symbols = rows(spec["ids"], None), spec["window"], spec["symbols"]
    windows = np.lib.stride_tricks.sliding_window_view(text, window)[:-1]
    eye = np.eye(symbols, dtype=np.float32)
    model = chargen_model(window, symbols, 128)
    return epochs(spec, model, lambda chosen: eye[windows[chosen]], text[window:])


def generation(spec):
    """A character a call, as in the lesson: predict on the last ten."""
    symbols = spec["symbols"]
    model, eye = chargen_model(10, symbols, spec["hidden"]), np.eye(symbols, dtype=np.float32)
    seen = [0] * 10

    def character():
        guess = model.predict(eye[seen][None], verbose=0)[0]
        seen[:] = seen[1:] + [int(guess.argmax())]

    character()
    return timed(character)


def prepare(spec):
    tasks = (sentiment, evaluation, chargen, generation)
    return {task.__name__: task for task in tasks}[spec["task"]](spec)


def startup(what, path):
    model = sentiment_model(20_000, 80, 0.2)
    if what == "save":
        model.save_weights(path)
        return
    model.load_weights(path)
    model.predict(np.ones((1, 80), dtype=np.int32), verbose=0)

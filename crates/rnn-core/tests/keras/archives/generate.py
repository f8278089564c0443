"""Makes the archives beside this file, and in *.out what their models give for x.bin.

    KERAS_BACKEND=jax python generate.py    # Keras 3.15.1
"""

import os

import numpy as np

os.chdir(os.path.dirname(os.path.abspath(__file__)))
import keras
from keras import Input, Model, Sequential
from keras.layers import GRU, LSTM, RNN, Bidirectional, Dense, LeakyReLU, LSTMCell, SimpleRNN, TimeDistributed

x = np.random.default_rng(0).uniform(-1, 1, (2, 5, 3)).astype("float32")
x.tofile("x.bin")


def save(name, layer):
    keras.utils.set_random_seed(1)
    model = Sequential([Input((5, 3)), layer])
    # Biases that are not zero.
    bias = lambda w: w.ndim == 1 or w.shape[0] == 2
    model.set_weights(
        [np.random.default_rng(2).uniform(-1, 1, w.shape) if bias(w) else w for w in model.get_weights()]
    )
    model.save(name + ".keras")
    model.predict(x, verbose=0).astype("<f4").tofile(name + ".out")


R = dict(return_sequences=True)
save("gru_nobias_before", GRU(4, reset_after=False, use_bias=False, name="l", **R))
save("gru_before", GRU(4, reset_after=False, name="l", **R))
save("gru", GRU(4, name="l", **R))
save("gru_nobias", GRU(4, use_bias=False, name="l", **R))
save("lstm", LSTM(4, name="l", **R))
save("lstm_relu", LSTM(4, activation="relu", name="l", **R))
save("lstm_hard", LSTM(4, recurrent_activation="hard_sigmoid", name="l", **R))
save("lstm_back", LSTM(4, go_backwards=True, name="l", **R))
save("rnn_relu", SimpleRNN(4, activation="relu", name="l", **R))
save("rnn", SimpleRNN(4, name="l", **R))
save("bi_sum", Bidirectional(LSTM(4, name="inner", **R), merge_mode="sum", name="l"))
save("bi_concat", Bidirectional(LSTM(4, name="inner", **R), name="l"))

# Models in a model with layers of one name, wrappers, cells, and activations that are layers.
keras.utils.set_random_seed(3)
twice = lambda **options: LSTM(2, name="twice", **options, **R)
inner = Sequential([Input((5, 4)), twice(), LSTM(2, name="deep", activation="relu", **R)], name="inner")
inner2 = Sequential([Input((5, 2)), twice(recurrent_activation="hard_sigmoid")], name="inner2")
turned = dict(backward_layer=GRU(2, name="gb", **R), name="turned")
i = Input((5, 3))
y = inner2(inner(SimpleRNN(4, name="first", **R)(i)))
y = Bidirectional(GRU(2, name="g", go_backwards=True, **R), **turned)(y)
y = RNN(LSTMCell(3, activation="softsign"), name="celled", **R)(y)
y = LSTM(3, name="leaky", activation=LeakyReLU(negative_slope=0.3), **R)(y)
y = TimeDistributed(Dense(2))(y)
y = LSTM(2, name="last_lstm", use_bias=False, activation=None)(y)
Model(i, y).save("nested.keras")


class Own(Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.enc = LSTM(2, name="enc_lstm", activation="relu")

    def call(self, x):
        return self.enc(x)


own = Own()
own(np.zeros((1, 5, 3), "float32"))
own.save("own.keras")

# Half precision.
keras.config.set_dtype_policy("float16")
keras.utils.set_random_seed(1)
Sequential([Input((5, 2)), LSTM(3, name="lstm")]).save_weights("keras_f16.weights.h5")
# cycle3.weights.h5 (three groups that hold each other) and huge.weights.h5 (an array that declares 8.8 TB) were written by
# hand with h5py.

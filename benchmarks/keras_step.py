"""One training step of a conditional GAN as Keras users write it, on TensorFlow: images a second.

python -m venv elsewhere && elsewhere/bin/pip install tensorflow-cpu
elsewhere/bin/python benchmarks/keras_step.py

The layers and sizes are those of Keras's own conditional GAN example: labels as planes beside the image and as numbers
beside the latent, two strided convolutions in the discriminator, two transposed ones in the generator, mini-batches of
64, the whole step one compiled function. It is another network than the paper's; compare images a second with care.
"""

import json
import statistics
import time

import numpy as np
import tensorflow as tf
from keras import Sequential, layers, losses, optimizers

CLASSES, LATENT, BATCH = 10, 128, 64
WARM_UP, STEPS = 10, 40


def networks() -> tuple[Sequential, Sequential]:
    """Generator and discriminator."""
    planes = LATENT + CLASSES
    generator = Sequential(
        [
            layers.Input((planes,)),
            layers.Dense(7 * 7 * planes),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Reshape((7, 7, planes)),
            layers.Conv2DTranspose(128, 4, 2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Conv2DTranspose(128, 4, 2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Conv2D(1, 7, padding="same", activation="sigmoid"),
        ]
    )
    discriminator = Sequential(
        [
            layers.Input((28, 28, 1 + CLASSES)),
            layers.Conv2D(64, 3, 2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Conv2D(128, 3, 2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.GlobalMaxPooling2D(),
            layers.Dense(1),
        ]
    )
    return generator, discriminator


def compiled_step():
    """A function of images and one-hot labels that trains the discriminator, then the generator."""
    generator, discriminator = networks()
    adams = [optimizers.Adam(3e-4) for _ in range(2)]
    loss = losses.BinaryCrossentropy(from_logits=True)

    def judged(images, labels):
        planes = tf.tile(labels[:, None, None, :], (1, 28, 28, 1))
        return discriminator(tf.concat([images, planes], -1))

    def drawn(labels):
        return generator(tf.concat([tf.random.normal((BATCH, LATENT)), labels], 1))

    @tf.function
    def step(real, labels):
        generated = drawn(labels)
        both, wanted = tf.concat([generated, real], 0), tf.concat([tf.ones((BATCH, 1)), tf.zeros((BATCH, 1))], 0)
        with tf.GradientTape() as tape:
            value = loss(wanted, judged(both, tf.concat([labels, labels], 0)))
        weights = discriminator.trainable_weights
        adams[0].apply_gradients(zip(tape.gradient(value, weights), weights, strict=True))
        with tf.GradientTape() as tape:
            value = loss(tf.zeros((BATCH, 1)), judged(drawn(labels), labels))
        weights = generator.trainable_weights
        adams[1].apply_gradients(zip(tape.gradient(value, weights), weights, strict=True))
        return value

    return step


def main() -> None:
    """Print the median time of a step and images a second."""
    random = np.random.default_rng(0)
    images = tf.constant(random.random((BATCH, 28, 28, 1)), tf.float32)
    labels = tf.one_hot(random.integers(0, CLASSES, BATCH), CLASSES)
    step, seconds = compiled_step(), []
    for _ in range(WARM_UP + STEPS):
        start = time.perf_counter()
        step(images, labels).numpy()
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds[WARM_UP:])
    print(json.dumps({"tensorflow": tf.__version__, "ms": 1000 * median, "images/s": BATCH / median}))


if __name__ == "__main__":
    main()

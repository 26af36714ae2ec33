"""Brings Theano-era Keras networks back to life, faithfully and with proof."""

__version__ = "0.1.0"

"""The reference: what Keras on Theano computed, in NumPy float64."""

"""The networks that Keras itself published with weights: one module each, and `table`, which lists them."""

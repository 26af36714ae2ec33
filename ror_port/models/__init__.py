"""The parallel definitions: the networks once in Keras and once in PyTorch, same blocks, same order, same names.

Each module depends on its framework alone, so that it can be copied away.
"""

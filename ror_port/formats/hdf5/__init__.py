"""HDF5: safe reading, and writing."""

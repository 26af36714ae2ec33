"""What one would write by hand for PyTorch: read, flip, save a state dict.

    by_hand_torch.py WEIGHTS.h5 OUT.pt

The entries keep the names of the file. One who wants to load them has to find the 238 names of the PyTorch network
as well; that is left out here, and costs no time to speak of.
"""

import sys

import h5py
import torch

state = {}
with h5py.File(sys.argv[1], "r") as file:
    for layer in file.attrs["layer_names"]:
        group = file[layer]
        for name in group.attrs["weight_names"]:
            tensor = group[name][()]
            if tensor.ndim == 4:  # PyTorch keeps (out, in, height, width) as Theano did
                tensor = tensor[:, :, ::-1, ::-1].copy()
            elif tensor.ndim == 2:  # and a Dense kernel as (out, in)
                tensor = tensor.T.copy()
            state[name.decode()] = torch.from_numpy(tensor)
torch.save(state, sys.argv[2])

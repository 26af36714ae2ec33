"""Recurrent layers as Keras 1 and 2 computed them, for PyTorch: what ``nn.GRU`` and ``nn.LSTM`` cannot be.

A generated definition holds a copy of those that it needs. Weights lie as in Keras: kernel (features, gates · units).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def hard_sigmoid(x: Tensor) -> Tensor:
    """Of Keras 1 and 2, and Theano; `nn.functional.hardsigmoid` has another slope."""
    return torch.clamp(0.2 * x + 0.5, 0.0, 1.0)


def linear(x: Tensor) -> Tensor:
    return x


def softplus(x: Tensor) -> Tensor:
    return torch.logaddexp(x, torch.zeros_like(x))


class Recurrent(nn.Module):
    """(batch, steps, features) → (batch, units), or (batch, steps, units) with return_sequences.

    mask: (batch, steps), True where a step counts; where it does not, states and output stay those of the step before.
    go_backwards: outputs come in the order in which they are computed, the last step's first. initial_state: (batch,
    units) each, in the place of zeros. return_state: give the states behind the last step too, as (output, *states).
    stateful: begin with the states that the call before ended with, where `kept` has some.
    """

    gates = 1
    states = 1

    def __init__(
        self,
        features: int,
        units: int,
        activation: Callable[[Tensor], Tensor],
        recurrent_activation: Callable[[Tensor], Tensor] = torch.sigmoid,
        *,
        use_bias: bool = True,
        return_sequences: bool = False,
        go_backwards: bool = False,
        return_state: bool = False,
        stateful: bool = False,
    ) -> None:
        super().__init__()
        self.units, self.activation, self.recurrent_activation = units, activation, recurrent_activation
        self.return_sequences, self.go_backwards, self.return_state = return_sequences, go_backwards, return_state
        self.stateful = stateful
        self.kept: tuple[Tensor, ...] = ()
        self.kernel = nn.Parameter(torch.empty(features, self.gates * units))
        self.recurrent_kernel = nn.Parameter(torch.empty(units, self.gates * units))
        self.bias = nn.Parameter(torch.zeros(self.gates * units)) if use_bias else None
        nn.init.xavier_uniform_(self.kernel)
        nn.init.orthogonal_(self.recurrent_kernel)

    def step(self, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The new states, of which the first is the output. x: x · kernel + bias of the step."""
        raise NotImplementedError

    def projected(self, x: Tensor) -> Tensor:
        return x @ self.kernel if self.bias is None else x @ self.kernel + self.bias

    def forward(
        self, x: Tensor, mask: Tensor | None = None, initial_state: tuple[Tensor, ...] = ()
    ) -> Tensor | tuple[Tensor, ...]:
        output = x.new_zeros(x.shape[0], self.units)
        states, outputs = initial_state or self.kept or (output,) * self.states, []
        x = self.projected(x)
        steps = range(x.shape[1])
        for t in reversed(steps) if self.go_backwards else steps:
            new = self.step(x[:, t], states)
            if mask is None:
                output, states = new[0], new
            else:
                counts = mask[:, t, None]
                output = torch.where(counts, new[0], output)
                states = tuple(torch.where(counts, a, b) for a, b in zip(new, states, strict=True))
            outputs.append(output)
        if self.stateful:
            self.kept = tuple(state.detach() for state in states)
        result = torch.stack(outputs, 1) if self.return_sequences else output
        return (result, *states) if self.return_state else result


class SimpleRNN(Recurrent):
    def step(self, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (self.activation(x + states[0] @ self.recurrent_kernel),)


class GRU(Recurrent):
    """Gates z and r, and the candidate h. reset_after: r is applied to h · recurrent_kernel instead of to h."""

    gates = 3

    def __init__(self, *args: object, reset_after: bool = False, use_bias: bool = True, **settings: bool) -> None:
        super().__init__(*args, use_bias=use_bias, **settings)  # type: ignore[arg-type]
        self.reset_after = reset_after
        if reset_after and use_bias:
            self.bias = nn.Parameter(torch.zeros(2, 3 * self.units))

    def projected(self, x: Tensor) -> Tensor:
        if self.bias is None or not self.reset_after:
            return super().projected(x)
        return x @ self.kernel + self.bias[0]

    def step(self, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (h,) = states
        x_z, x_r, x_h = x.chunk(3, -1)
        if self.reset_after:
            recurrent = h @ self.recurrent_kernel
            if self.bias is not None:
                recurrent = recurrent + self.bias[1]
            h_z, h_r, h_h = recurrent.chunk(3, -1)
            z, r = self.recurrent_activation(x_z + h_z), self.recurrent_activation(x_r + h_r)
            candidate = self.activation(x_h + r * h_h)
        else:
            kernel_z, kernel_r, kernel_h = self.recurrent_kernel.chunk(3, -1)
            z, r = self.recurrent_activation(x_z + h @ kernel_z), self.recurrent_activation(x_r + h @ kernel_r)
            candidate = self.activation(x_h + (r * h) @ kernel_h)
        return (z * h + (1 - z) * candidate,)


class LSTM(Recurrent):
    """Gates i, f and o, and between f and o the candidate c."""

    gates = 4
    states = 2

    def step(self, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        h, cell = states
        i, f, c, o = (x + h @ self.recurrent_kernel).chunk(4, -1)
        cell = self.recurrent_activation(f) * cell + self.recurrent_activation(i) * self.activation(c)
        return self.recurrent_activation(o) * self.activation(cell), cell


class ConvLSTM2D(nn.Module):
    """(batch, steps, channels, height, width) → (batch, filters, …), with return_sequences (batch, steps, filters, …).

    An LSTM whose products are convolutions. Kernels lie as those of ``nn.Conv2d``: (4 · filters, channels, height,
    width). padding, recurrent_padding: zeros around an image of the input, and around the output of the step before:
    left, right, above, below.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel_size: tuple[int, int],
        activation: Callable[[Tensor], Tensor],
        recurrent_activation: Callable[[Tensor], Tensor],
        *,
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, ...] = (0, 0, 0, 0),
        recurrent_padding: tuple[int, ...],
        dilation: tuple[int, int] = (1, 1),
        use_bias: bool = True,
        return_sequences: bool = False,
        go_backwards: bool = False,
    ) -> None:
        super().__init__()
        self.filters, self.activation, self.recurrent_activation = filters, activation, recurrent_activation
        self.stride, self.dilation = stride, dilation
        self.padding, self.recurrent_padding = padding, recurrent_padding
        self.return_sequences, self.go_backwards = return_sequences, go_backwards
        self.kernel = nn.Parameter(torch.empty(4 * filters, channels, *kernel_size))
        self.recurrent_kernel = nn.Parameter(torch.empty(4 * filters, filters, *kernel_size))
        self.bias = nn.Parameter(torch.zeros(4 * filters)) if use_bias else None
        nn.init.xavier_uniform_(self.kernel)
        nn.init.orthogonal_(self.recurrent_kernel)

    def projected(self, x: Tensor) -> Tensor:
        """The convolution of the input, of all steps at once."""
        images = nn.functional.pad(x.flatten(0, 1), self.padding)
        sums = nn.functional.conv2d(images, self.kernel, self.bias, self.stride, dilation=self.dilation)
        return sums.unflatten(0, x.shape[:2])

    def step(self, x: Tensor, h: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        h = nn.functional.pad(h, self.recurrent_padding)
        i, f, c, o = (x + nn.functional.conv2d(h, self.recurrent_kernel)).chunk(4, 1)
        cell = self.recurrent_activation(f) * cell + self.recurrent_activation(i) * self.activation(c)
        return self.recurrent_activation(o) * self.activation(cell), cell

    def forward(self, x: Tensor) -> Tensor:
        x = self.projected(x)
        h = cell = torch.zeros_like(x[:, 0, : self.filters])
        outputs = []
        steps = range(x.shape[1])
        for t in reversed(steps) if self.go_backwards else steps:
            h, cell = self.step(x[:, t], h, cell)
            outputs.append(h)
        return torch.stack(outputs, 1) if self.return_sequences else h

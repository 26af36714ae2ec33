"""RoR-3-WRN and Pre-RoR-3 in PyTorch.

Zhang et al., "Residual Networks of Residual Networks: Multilevel Residual Networks", arXiv 1608.02908, as its
Keras 1 implementation of 2016 has it: max-pooling between the stages, a projection in the first block of each.
`ror_wrn_keras` is the same network in Keras, to be read side by side. This file needs nothing but PyTorch (and
safetensors, to load and save).

Parameters are named as they nest: ``stem.conv.weight``, ``root_shortcut.weight``, ``stage1.middle_shortcut.weight``,
``stage1.block0.{shortcut,bn1,conv1,bn2,conv2}.weight``, ``head.bn.weight``, ``head.dense.weight``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class RoRWRNConfig:
    """RoR-3-WRN-(6 blocks + 4)-width; width 1 is Pre-RoR-3.

    blocks: residual blocks in each of the three stages. input_shape: (height, width, channels).
    epsilon, momentum: of every BatchNorm, momentum as Keras counts it (PyTorch's is 1 − momentum).
    """

    blocks: int
    width: int
    classes: int = 10
    input_shape: tuple[int, int, int] = (32, 32, 3)
    dropout: float = 0.0
    epsilon: float = 1e-3
    momentum: float = 0.99


class BatchNorm(nn.BatchNorm2d):
    """BatchNorm2d that tracks the biased batch variance, as Keras does; PyTorch tracks n / (n − 1) of it."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        variance = self.running_var.clone()  # autograd keeps what batch_norm updates, so the buffer itself stays out
        y = nn.functional.batch_norm(
            x, self.running_mean, variance, self.weight, self.bias, True, self.momentum, self.eps
        )
        n = x.numel() // x.shape[1]
        with torch.no_grad():
            kept = (1 - self.momentum) * self.running_var
            self.running_var.copy_(kept + (variance - kept) * ((n - 1) / n))
            self.num_batches_tracked += 1
        return y


class Block(nn.Module):
    """shortcut + (BN → ReLU → conv 3×3 → [dropout] → BN → ReLU → conv 3×3); a 1×1 projection where `project`."""

    def __init__(self, config: RoRWRNConfig, channels: int, filters: int, project: bool) -> None:
        super().__init__()
        self.shortcut = conv(channels, filters, 1) if project else nn.Identity()
        self.bn1 = norm(config, channels)
        self.conv1 = conv(channels, filters, 3)
        self.dropout = nn.Dropout(config.dropout)
        self.bn2 = norm(config, filters)
        self.conv2 = conv(filters, filters, 3)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.shortcut(x)
        x = self.conv1(torch.relu(self.bn1(x)))
        x = self.dropout(x)
        x = self.conv2(torch.relu(self.bn2(x)))
        return shortcut + x


class Stage(nn.Module):
    """`config.blocks` blocks with a level-2 shortcut around them, then max-pooling where `pool`."""

    def __init__(self, config: RoRWRNConfig, channels: int, filters: int, pool: bool) -> None:
        super().__init__()
        self.middle_shortcut = conv(channels, filters, 1, init=nn.init.xavier_uniform_)
        self.names = [f"block{b}" for b in range(config.blocks)]
        for b, name in enumerate(self.names):
            self.add_module(name, Block(config, channels if b == 0 else filters, filters, project=b == 0))
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        middle = self.middle_shortcut(x)
        for name in self.names:
            x = self.get_submodule(name)(x)
        return self.pool(middle + x)


class RoRWRN(nn.Module):
    """The network. ``forward(x)``: (batch, channels, height, width), scaled as in training (pixels / 255) → logits.

    Initialised as the original: He normal, Glorot uniform for the long shortcuts and the head, biases zero.
    """

    def __init__(self, config: RoRWRNConfig) -> None:
        super().__init__()
        self.config = config
        height, width, channels = config.input_shape
        k = config.width
        self.stem = nn.ModuleDict({"conv": conv(channels, 16, 3)})
        self.root_shortcut = conv(16, 64 * k, 1, stride=4, init=nn.init.xavier_uniform_)
        self.stage1 = Stage(config, 16, 16 * k, pool=True)
        self.stage2 = Stage(config, 16 * k, 32 * k, pool=True)
        self.stage3 = Stage(config, 32 * k, 64 * k, pool=False)
        positions = (height // 4 // 8) * (width // 4 // 8)
        dense = nn.Linear(64 * k * positions, config.classes)
        nn.init.xavier_uniform_(dense.weight)
        nn.init.zeros_(dense.bias)
        self.head = nn.ModuleDict({"bn": norm(config, 64 * k), "pool": nn.AvgPool2d(8), "dense": dense})

    def forward_features(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) → (batch, 64 · width · positions): what the last Dense layer sees."""
        x = self.stem["conv"](x)  # 16×32×32
        root = self.root_shortcut(x)  # level 1: 64k×8×8
        x = self.stage1(x)  # 16k×16×16, pooled
        x = self.stage2(x)  # 32k×8×8, pooled
        x = self.stage3(x)  # 64k×8×8
        x = torch.relu(self.head["bn"](root + x))
        return self.head["pool"](x).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head["dense"](self.forward_features(x))

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> RoRWRN:
        """A network from a folder of ``config.json`` and ``model.safetensors``, in evaluation mode."""
        from safetensors.torch import load_file

        folder = Path(folder)
        stated = json.loads((folder / "config.json").read_text())
        known = {field.name: stated[field.name] for field in fields(RoRWRNConfig) if field.name in stated}
        model = cls(RoRWRNConfig(**{**known, "input_shape": tuple(stated["input_shape"])}))
        weights = load_file(folder / "model.safetensors")
        model.to(weights["stem.conv.weight"].dtype).load_state_dict(weights)
        return model.eval()

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes what `from_pretrained` reads."""
        from safetensors.torch import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        stated = {"model_type": "ror_wrn", "architectures": ["RoRWRN"], **asdict(self.config)}
        (folder / "config.json").write_text(json.dumps(stated, indent=2) + "\n")
        save_file({name: value.contiguous() for name, value in self.state_dict().items()}, folder / "model.safetensors")


def conv(
    channels: int,
    filters: int,
    size: int,
    stride: int = 1,
    init: Callable[[Tensor], Tensor] = nn.init.kaiming_normal_,
) -> nn.Conv2d:
    layer = nn.Conv2d(channels, filters, size, stride, padding=size // 2)
    init(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def norm(config: RoRWRNConfig, channels: int) -> BatchNorm:
    return BatchNorm(channels, eps=config.epsilon, momentum=1 - config.momentum)

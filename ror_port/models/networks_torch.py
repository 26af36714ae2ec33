"""RoR-3-WRN, Pre-RoR-3, RoR-3 and wide residual networks in PyTorch.

RoR: Zhang et al., "Residual Networks of Residual Networks: Multilevel Residual Networks", arXiv 1608.02908.
WRN: Zagoruyko & Komodakis, "Wide Residual Networks", arXiv 1605.07146. Both as their Keras 1 implementations of
2016–2017 have them, whose weights these definitions take. `networks_keras` has the same networks in Keras, to be
read side by side. This file needs nothing but PyTorch (and safetensors, to load and save).

Every network takes (batch, channels, height, width), scaled as in training (pixels / 255), and returns logits
(batch, classes). Parameters are named as they nest: ``stem.conv.weight``, ``root_shortcut.weight``,
``stage1.middle_shortcut.weight``, ``stage1.block0.{shortcut,bn1,conv1,bn2,conv2}.weight``, ``head.dense.weight``.

Initialisers are the originals': He normal, Glorot uniform for long shortcuts and the Dense layer, biases zero.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    """What a network is built from.

    blocks: N, residual blocks in each of three stages (9 N − 1 in RoR). width: k; stages have 16 k, 32 k, 64 k
    channels. input_shape: (height, width, channels). epsilon, momentum: of every BatchNorm, momentum as Keras
    counts it (PyTorch's is 1 − momentum). padding: of strided 3×3 convolutions, "half" as in Theano (1 on every
    side) or "same" as in TensorFlow (for an even length 0 before and 1 after).
    """

    blocks: int
    width: int = 1
    classes: int = 10
    input_shape: tuple[int, int, int] = (32, 32, 3)
    dropout: float = 0.0
    epsilon: float = 1e-3
    momentum: float = 0.99
    padding: str = "half"


class Network(nn.Module):
    """What the networks share: the head, loading and saving. Subclasses define `body`."""

    model_type: ClassVar[str]
    defaults: ClassVar[dict[str, float]] = {}
    """Settings of the original code where they are not Config's own."""

    @classmethod
    def create(cls, blocks: int, width: int = 1, **settings: Any) -> Self:
        """A fresh network as the original code set it up; settings: other fields of `Config`."""
        return cls(Config(blocks, width, **{**cls.defaults, **settings}))

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.build(config, config.input_shape[2], config.width)
        height, width, _ = config.input_shape
        features = 64 * config.width * (height // 4 // 8) * (width // 4 // 8)
        self.head.add_module("pool", nn.AvgPool2d(8))
        self.head.add_module("dense", nn.Linear(features, config.classes))
        nn.init.xavier_uniform_(self.head.dense.weight)
        nn.init.zeros_(self.head.dense.bias)

    def build(self, config: Config, channels: int, k: int) -> None:
        """Makes the modules of `body`, among them `head`, to which pooling and Dense are added."""
        raise NotImplementedError

    def body(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) → (batch, 64 k, height / 4, width / 4)."""
        raise NotImplementedError

    def forward_features(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) → (batch, 64 k · positions): what the Dense layer sees."""
        return self.head.pool(self.body(x)).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head.dense(self.forward_features(x))

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """A network from a folder of ``config.json`` and ``model.safetensors``, in evaluation mode.

        folder: here or, as "user/name", on the Hugging Face hub, if huggingface_hub is installed.
        """
        from safetensors.torch import load_file

        folder = local_folder(folder)
        stated = json.loads((folder / "config.json").read_text())
        if stated.get("model_type") != cls.model_type:
            raise ValueError(f"{folder} holds a {stated.get('model_type')}, not a {cls.model_type}")
        known = {field.name: stated[field.name] for field in fields(Config) if field.name in stated}
        model = cls(Config(**{**known, "input_shape": tuple(stated["input_shape"])}))
        weights = load_file(folder / "model.safetensors")
        model.to(weights["stem.conv.weight"].dtype).load_state_dict(weights)
        return model.eval()

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes what `from_pretrained` reads."""
        from safetensors.torch import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        stated = {"model_type": self.model_type, "architectures": [type(self).__name__], **asdict(self.config)}
        (folder / "config.json").write_text(json.dumps(stated, indent=2) + "\n")
        save_file({name: value.contiguous() for name, value in self.state_dict().items()}, folder / "model.safetensors")


def local_folder(name: str | Path) -> Path:
    """The folder of that name; where there is none, a copy of the hub's repository "user/name"."""
    if Path(name).exists() or str(name).count("/") != 1:
        return Path(name)
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise FileNotFoundError(f"no folder {name}; with huggingface_hub installed the hub is asked for it") from None
    return Path(snapshot_download(str(name), allow_patterns=["config.json", "model.safetensors"]))


class RoRWRN(Network):
    """RoR-3-WRN-(6 blocks + 4)-width; width 1 is Pre-RoR-3.

    Originally ``create_pre_residual_of_residual(input_dim, nb_classes, N, k, dropout)``.
    """

    model_type = "ror_wrn"

    class Block(nn.Module):
        """shortcut + (BN → ReLU → conv → [dropout] → BN → ReLU → conv)."""

        def __init__(self, config: Config, channels: int, filters: int, project: bool) -> None:
            super().__init__()
            self.shortcut = conv(channels, filters, 1) if project else nn.Identity()
            self.bn1 = norm(config, channels)
            self.conv1 = conv(channels, filters)
            self.dropout = nn.Dropout(config.dropout)
            self.bn2 = norm(config, filters)
            self.conv2 = conv(filters, filters)

        def forward(self, x: Tensor) -> Tensor:
            shortcut = self.shortcut(x)
            x = self.conv1(torch.relu(self.bn1(x)))
            x = self.dropout(x)
            x = self.conv2(torch.relu(self.bn2(x)))
            return shortcut + x

    class Stage(nn.Module):
        """Blocks with a level-2 shortcut around them, then pooling."""

        def __init__(self, config: Config, channels: int, filters: int, pool: nn.Module) -> None:
            super().__init__()
            self.middle_shortcut = long_shortcut(channels, filters)
            self.blocks = numbered(
                self,
                [
                    RoRWRN.Block(config, channels if b == 0 else filters, filters, project=b == 0)
                    for b in range(config.blocks)
                ],
            )
            self.pool = pool

        def forward(self, x: Tensor) -> Tensor:
            middle = self.middle_shortcut(x)
            for name in self.blocks:
                x = self.get_submodule(name)(x)
            return self.pool(middle + x)

    def build(self, config: Config, channels: int, k: int) -> None:
        self.stem = group(conv=conv(channels, 16))
        self.root_shortcut = long_shortcut(16, 64 * k, stride=4)
        self.stage1 = self.Stage(config, 16, 16 * k, nn.MaxPool2d(2))
        self.stage2 = self.Stage(config, 16 * k, 32 * k, nn.MaxPool2d(2))
        self.stage3 = self.Stage(config, 32 * k, 64 * k, nn.Identity())
        self.head = group(bn=norm(config, 64 * k))

    def body(self, x: Tensor) -> Tensor:
        x = self.stem.conv(x)  # 16×32×32
        root = self.root_shortcut(x)  # level 1: 64k×8×8
        x = self.stage1(x)  # 16k×16×16, pooled
        x = self.stage2(x)  # 32k×8×8, pooled
        x = self.stage3(x)  # 64k×8×8
        return torch.relu(self.head.bn(root + x))


class RoR(Network):
    """RoR-3-(6 (9 blocks − 1) + 8): 1, 2, 3 make RoR-3-56, -110, -164.

    Originally ``create_residual_of_residual(input_dim, nb_classes, N, dropout)``.
    """

    model_type = "ror"

    class Block(nn.Module):
        """shortcut + (conv → BN → ReLU → [dropout] → conv → BN), then ReLU where `ends`."""

        def __init__(self, config: Config, channels: int, filters: int, project: bool, ends: bool) -> None:
            super().__init__()
            self.shortcut = conv(channels, filters, 1) if project else nn.Identity()
            self.conv1 = conv(channels, filters)
            self.bn1 = norm(config, filters)
            self.dropout = nn.Dropout(config.dropout)
            self.conv2 = conv(filters, filters)
            self.bn2 = norm(config, filters)
            self.ends = ends

        def forward(self, x: Tensor) -> Tensor:
            shortcut = self.shortcut(x)
            x = torch.relu(self.bn1(self.conv1(x)))
            x = self.dropout(x)
            x = shortcut + self.bn2(self.conv2(x))
            return torch.relu(x) if self.ends else x

    class Stage(nn.Module):
        """Blocks with a level-2 shortcut around them, then ReLU and pooling in stages 1 and 2."""

        def __init__(self, config: Config, stage: int, channels: int, filters: int) -> None:
            super().__init__()
            self.middle_shortcut = long_shortcut(channels, filters)
            self.blocks = numbered(
                self,
                [
                    RoR.Block(
                        config,
                        channels if b == 0 else filters,
                        filters,
                        project=b == 0,
                        ends=not (stage == 3 and b == config.blocks - 1),  # a quirk of the original, trained with
                    )
                    for b in range(9 * config.blocks - 1)
                ],
            )
            self.after = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)) if stage < 3 else nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            middle = self.middle_shortcut(x)
            for name in self.blocks:
                x = self.get_submodule(name)(x)
            return self.after(middle + x)

    def build(self, config: Config, channels: int, k: int) -> None:
        self.stem = group(conv=conv(channels, 16), bn=norm(config, 16))
        self.root_shortcut = long_shortcut(16, 64, stride=4)
        self.stage1 = self.Stage(config, 1, 16, 16)
        self.stage2 = self.Stage(config, 2, 16, 32)
        self.stage3 = self.Stage(config, 3, 32, 64)
        self.head = group(relu=nn.ReLU())

    def body(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem.bn(self.stem.conv(x)))
        root = self.root_shortcut(x)
        x = self.stage3(self.stage2(self.stage1(x)))
        return self.head.relu(root + x)


class WRN(Network):
    """WRN-(6 blocks + 4)-width of the article: no biases, strided convolutions. Its epsilon is 1e-5, its momentum 0.1.

    Originally ``create_wide_residual_network(input_dim, nb_classes, N, k, dropout)``.
    """

    model_type = "wrn"
    defaults = {"epsilon": 1e-5, "momentum": 0.1}  # noqa: RUF012  (annotated where it is declared)

    class Expand(nn.Module):
        """(conv → BN → ReLU → conv) + projection; the first convolution and the projection are strided."""

        def __init__(self, config: Config, channels: int, filters: int, stride: int) -> None:
            super().__init__()
            self.conv1 = conv(channels, filters, stride=stride, bias=False, padding=config.padding)
            self.bn1 = norm(config, filters)
            self.conv2 = conv(filters, filters, bias=False)
            self.shortcut = conv(channels, filters, 1, stride, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv2(torch.relu(self.bn1(self.conv1(x))))
            return y + self.shortcut(x)

    class Block(nn.Module):
        """x + (BN → ReLU → conv → [dropout] → BN → ReLU → conv)."""

        def __init__(self, config: Config, filters: int) -> None:
            super().__init__()
            self.bn1 = norm(config, filters)
            self.conv1 = conv(filters, filters, bias=False)
            self.dropout = nn.Dropout(config.dropout)
            self.bn2 = norm(config, filters)
            self.conv2 = conv(filters, filters, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv1(torch.relu(self.bn1(x)))
            y = self.dropout(y)
            return x + self.conv2(torch.relu(self.bn2(y)))

    class Stage(nn.Module):
        """An expanding block, the others, then BN → ReLU."""

        def __init__(self, config: Config, channels: int, filters: int, stride: int) -> None:
            super().__init__()
            blocks = [WRN.Expand(config, channels, filters, stride)]
            self.blocks = numbered(self, blocks + [WRN.Block(config, filters) for _ in range(1, config.blocks)])
            self.bn = norm(config, filters)

        def forward(self, x: Tensor) -> Tensor:
            for name in self.blocks:
                x = self.get_submodule(name)(x)
            return torch.relu(self.bn(x))

    def build(self, config: Config, channels: int, k: int) -> None:
        self.stem = group(conv=conv(channels, 16, bias=False), bn=norm(config, 16))
        self.stage1 = self.Stage(config, 16, 16 * k, stride=1)
        self.stage2 = self.Stage(config, 16 * k, 32 * k, stride=2)
        self.stage3 = self.Stage(config, 32 * k, 64 * k, stride=2)
        self.head = group()

    def body(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem.bn(self.stem.conv(x)))
        return self.stage3(self.stage2(self.stage1(x)))


class WRN2016(Network):
    """WRN-(6 blocks + 4)-width as of 2016: biases, max-pooling, no BatchNorm behind the last block.

    Originally ``create_wide_residual_network(input_dim, nb_classes, N, k, dropout)``.
    """

    model_type = "wrn_2016"

    class Block(nn.Module):
        """shortcut + (conv → BN → ReLU → [dropout] → conv → BN → ReLU)."""

        def __init__(self, config: Config, channels: int, filters: int) -> None:
            super().__init__()
            self.shortcut = conv(channels, filters, 1) if channels != filters else nn.Identity()
            self.conv1 = conv(channels, filters)
            self.bn1 = norm(config, filters)
            self.dropout = nn.Dropout(config.dropout)
            self.conv2 = conv(filters, filters)
            self.bn2 = norm(config, filters)

        def forward(self, x: Tensor) -> Tensor:
            y = torch.relu(self.bn1(self.conv1(x)))
            y = self.dropout(y)
            return self.shortcut(x) + torch.relu(self.bn2(self.conv2(y)))

    class Stage(nn.Module):
        """Blocks, then pooling."""

        def __init__(self, config: Config, channels: int, filters: int, pool: nn.Module) -> None:
            super().__init__()
            self.blocks = numbered(
                self, [WRN2016.Block(config, channels if b == 0 else filters, filters) for b in range(config.blocks)]
            )
            self.pool = pool

        def forward(self, x: Tensor) -> Tensor:
            for name in self.blocks:
                x = self.get_submodule(name)(x)
            return self.pool(x)

    def build(self, config: Config, channels: int, k: int) -> None:
        self.stem = group(conv=conv(channels, 16), bn=norm(config, 16))
        self.stage1 = self.Stage(config, 16, 16 * k, nn.MaxPool2d(2))
        self.stage2 = self.Stage(config, 16 * k, 32 * k, nn.MaxPool2d(2))
        self.stage3 = self.Stage(config, 32 * k, 64 * k, nn.Identity())
        self.head = group()

    def body(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem.bn(self.stem.conv(x)))
        return self.stage3(self.stage2(self.stage1(x)))


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


class SameConv2d(nn.Conv2d):
    """A strided convolution padded as TensorFlow's 'same': the odd zero at the end."""

    def forward(self, x: Tensor) -> Tensor:
        (size, _), (stride, _) = self.kernel_size, self.stride
        total = [max((-(-length // stride) - 1) * stride + size - length, 0) for length in x.shape[:1:-1]]
        pads = [side for t in total for side in (t // 2, t - t // 2)]  # of columns, then of rows
        return super().forward(nn.functional.pad(x, pads))


def conv(
    channels: int,
    filters: int,
    size: int = 3,
    stride: int = 1,
    bias: bool = True,
    padding: str = "half",
    init: Callable[[Tensor], Tensor] = nn.init.kaiming_normal_,
) -> nn.Conv2d:
    if padding == "same" and stride > 1:
        layer: nn.Conv2d = SameConv2d(channels, filters, size, stride, bias=bias)
    else:
        layer = nn.Conv2d(channels, filters, size, stride, padding=size // 2, bias=bias)
    init(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def long_shortcut(channels: int, filters: int, stride: int = 1) -> nn.Conv2d:
    return conv(channels, filters, 1, stride, init=nn.init.xavier_uniform_)


def norm(config: Config, channels: int) -> BatchNorm:
    return BatchNorm(channels, eps=config.epsilon, momentum=1 - config.momentum)


def group(**modules: nn.Module) -> nn.Module:
    """Named modules that only belong together."""
    parent = nn.Module()
    for name, module in modules.items():
        parent.add_module(name, module)
    return parent


def numbered(parent: nn.Module, blocks: list[nn.Module]) -> list[str]:
    """Adds blocks to a stage as ``block0``, ``block1`` …; returns their names."""
    for index, block in enumerate(blocks):
        parent.add_module(f"block{index}", block)
    return [f"block{index}" for index in range(len(blocks))]

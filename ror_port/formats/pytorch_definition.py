"""PyTorch source text for any graph: one ``nn.Module``, written to be read.

Submodules are called as the layers, in the order of their use; ``forward`` has one line a layer, with the shape of its
output behind it. The families of networks have definitions written by hand instead (`ror_port.models`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from importlib import resources

from ror_port.errors import UnknownNetwork
from ror_port.formats.pytorch_recurrent import codes
from ror_port.layout import Shape
from ror_port.network.graph import Graph, Node
from ror_port.network.layers import Input
from ror_port.network.layers.layer import TorchCode
from ror_port.network.layers.sequence import MakesMask

CLASS_NAME = "Network"


def definition(graph: Graph, names: Mapping[str, str], *, title: str, origin: str) -> str:
    """The source text of a module that defines CLASS_NAME.

    graph: channels_first. names: node → name of its module and variable. title, origin: for its docstring.
    """
    inputs = [names[node.name] for node in graph.inputs]
    written = codes(graph)
    modules, lines = _body(graph, names, written)
    needs = [name for code in written.values() for name in code.needs]
    imports, helpers = _helpers(dict.fromkeys(needs))
    given = "x" if len(inputs) == 1 else ", ".join(inputs)
    arguments = ", ".join(f"{name}: Tensor" for name in given.split(", "))
    several = len(graph.outputs) > 1
    result = "tuple[Tensor, ...]" if several else "Tensor"
    takes = ", ".join(_words(node.shape, graph.batch) for node in graph.inputs)
    gives = ", ".join(_words(graph[name].shape, graph.batch) for name in graph.outputs)
    stateful = (
        "A call begins with the states that the one before ended with; `reset_states` begins anew.\n"
        if graph.batch
        else ""
    )
    return f'''"""{title}, written by ror-port from {origin}.

Takes {takes}; returns {gives}: what Keras' ``predict`` gave.
{stateful}This file needs PyTorch, and safetensors to load and save.
"""

import json
{imports}from pathlib import Path

import torch
from torch import Tensor, nn

{helpers}
class {CLASS_NAME}(nn.Module):
    def __init__(self) -> None:
        super().__init__()
{modules}
    def forward(self, {arguments}) -> {result}:
{lines}
{_RESET if graph.batch else ""}
    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "{CLASS_NAME}":
        """The network with the weights of a folder that has model.safetensors, in evaluation mode.

        folder: here or, as "user/name", on the Hugging Face hub, if huggingface_hub is installed.
        """
        from safetensors.torch import load_file

        path = Path(folder) / "model.safetensors"
        if not path.exists() and str(folder).count("/") == 1:
            try:
                from huggingface_hub import hf_hub_download
            except ImportError:
                raise FileNotFoundError(f"no folder {{folder}}, and no huggingface_hub to ask the hub for it") from None
            path = Path(hf_hub_download(str(folder), "model.safetensors"))
        weights = load_file(path)
        network = cls()
        for tensor in weights.values():
            network.to(tensor.dtype)
            break
        network.load_state_dict(weights)
        return network.eval()

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the weights to a folder as `from_pretrained` reads them."""
        from safetensors.torch import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        weights = {{name: value.contiguous() for name, value in self.state_dict().items()}}
        save_file(weights, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps({{"architectures": ["{CLASS_NAME}"]}}) + "\\n")
'''


_RESET = """
    def reset_states(self) -> None:
        \"\"\"Sets the states back to zeros: what is given next begins new sequences.\"\"\"
        for module in self.modules():
            if isinstance(module, Recurrent):
                module.kept = ()
"""


def _helpers(needs: Iterable[str]) -> tuple[str, str]:
    """The imports and the source text of what a definition takes from `ror_port.models.recurrent_torch`."""
    if not needs:
        return "", ""
    text = resources.files("ror_port.models").joinpath("recurrent_torch.py").read_text(encoding="utf-8")
    parts = {part.name: part for part in ast.parse(text).body if isinstance(part, ast.ClassDef | ast.FunctionDef)}
    wanted, waiting = set(), [name for name in needs if name in parts]
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += [n.id for n in ast.walk(parts[name]) if isinstance(n, ast.Name) and n.id in parts]
    sources = [ast.get_source_segment(text, part) for name, part in parts.items() if name in wanted]
    return "from collections.abc import Callable\n", "\n" + "\n\n\n".join(map(str, sources)) + "\n\n"


def _body(graph: Graph, names: Mapping[str, str], codes: Mapping[str, TorchCode]) -> tuple[str, str]:
    """The lines of ``__init__`` and of ``forward``. codes: of the nodes."""
    modules: list[str] = []
    lines: list[str] = []
    made: dict[str, str | None] = {}
    order = [node for node in graph if not isinstance(node.layer, Input)]
    single = len(graph.inputs) == 1
    variables = {node.name: "x" if single else names[node.name] for node in graph.inputs}
    masks: dict[str, str] = {}
    read = {name for node in graph if getattr(node.layer, "has_mask", False) for name in graph[node.inputs[0]].mask}
    if single and order and not _read_next(graph, graph.input, order[0]):
        lines.append(f"        {names[graph.input.name]} = x  # {_size(graph.input.shape)}")
        variables[graph.input.name] = names[graph.input.name]
    for index, node in enumerate(order):
        if graph.calls[node.name] != node.name:  # a further result of a call above
            continue
        code = codes[node.name]
        if made.setdefault(node.owner, code.module) != code.module:
            raise UnknownNetwork(
                f"{node.owner} is used at several places, of shapes that take one module each in PyTorch"
            )
        if code.module is not None and node.shares is None:
            modules.append(f"        self.{names[node.name]} = {code.module}")
        sources = [variables[name] for name in node.inputs]
        if node.name in read and isinstance(node.layer, MakesMask):
            masks[node.name] = f"{names[node.name]}_mask"
            lines.append(f"        {masks[node.name]} = {node.layer.torch_mask().format(x=sources[0])}")
        mask = " & ".join(masks[name] for name in graph[node.inputs[0]].mask) if "{mask}" in code.call else ""
        mask = f"({mask})" if " & " in mask else mask
        module = f"self.{names[node.owner]}"
        call = code.call.format(*sources, x=sources[0], xs=", ".join(sources), mask=mask, module=module)
        if node.layer.result is not None:
            results = [other for other in order[index:] if graph.calls[other.name] == node.name]
            variables |= {other.name: names[other.name] for other in results}
            lines.append(
                f"        {_unpacked(results, names)} = {call}  # {', '.join(_size(r.shape) for r in results)}"
            )
            continue
        last = index == len(order) - 1
        follower = None if last else order[index + 1]
        variable = "x" if _read_next(graph, node, follower) else names[node.name]
        variables[node.name] = variable
        lines.append(f"        {variable} = {call}  # {_size(node.shape)}")
    outputs = ", ".join(variables[name] for name in graph.outputs)
    lines.append(f"        return {outputs}")
    return "".join(f"{line}\n" for line in modules), "\n".join(lines)


def _unpacked(results: Iterable[Node], names: Mapping[str, str]) -> str:
    """The variables of a call's results; one that no node is has none."""
    found: dict[int, str] = {}
    count = 0
    for node in results:
        position, count = node.layer.result or (0, 1)
        found[position] = names[node.name]
    return ", ".join(found.get(position, "_") for position in range(count))


def _read_next(graph: Graph, node: Node, follower: Node | None) -> bool:
    """Whether a value is read by what follows at once and by nothing else, so that it needs no name of its own."""
    readers = graph.readers[node.name]
    if node.name in graph.outputs:
        return follower is None and not readers and len(graph.outputs) == 1
    return follower is not None and [reader.name for reader in readers] == [follower.name]


def _size(shape: Shape) -> str:
    return "×".join(map(str, shape))


def _words(shape: Shape, batch: int | None) -> str:
    return f"({batch or 'batch'}, {', '.join(map(str, shape))})"

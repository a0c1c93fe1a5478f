"""A multilayer perceptron, compiled by TVM for `webgpu` and run by Tidegate.

    python mlp.py
"""

import numpy as np
import tidegate_tvm  # noqa: F401  Registers the runtime of target `webgpu`; nothing else is needed.
import tvm
from tvm import relax
from tvm.relax.frontend import nn

# Sums of a thousand products in float32, in another order than the CPU's.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}


class Mlp(nn.Module):
    """Three layers: pixels of a digit in, a logit for each digit out."""

    def __init__(self, width=512):
        super().__init__()
        self.first = nn.Linear(784, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, 10)

    def forward(self, x):
        x = nn.op.relu(self.first(x))
        x = nn.op.gelu(self.second(x))
        return nn.op.softmax(self.last(x))


def compile_for(target, width=512, batch=32):
    """The compiled model for one target, and the shapes of its weights."""
    module, parameters = Mlp(width).export_tvm({"forward": {"x": nn.spec.Tensor([batch, 784], "float32")}})
    shapes = [[int(extent) for extent in parameter.shape] for _, parameter in parameters]
    return tvm.compile(module, target=target), shapes


def run(target, device, inputs):
    """The model's answer on a device. `inputs` are the pixels and then the weights."""
    executable, _ = compile_for(target, width=inputs[1].shape[0], batch=inputs[0].shape[0])
    machine = relax.VirtualMachine(executable, device)
    return machine["forward"](*[tvm.runtime.tensor(value, device) for value in inputs]).numpy()


def random_inputs(width=512, batch=32):
    """Pixels and weights, the same at every call."""
    random = np.random.default_rng(7)
    _, shapes = compile_for("llvm", width, batch)
    weights = [random.standard_normal(shape, dtype=np.float32) * 0.05 for shape in shapes]
    return [random.random((batch, 784), dtype=np.float32), *weights]


def main():
    inputs = random_inputs()
    ours = run("webgpu", tvm.device("webgpu", 0), inputs)
    reference = run("llvm", tvm.cpu(), inputs)
    np.testing.assert_allclose(ours, reference, **TOLERANCE)
    print(f"{ours.shape[0]} answers agree with the CPU's; the largest difference is {abs(ours - reference).max():.1e}")


if __name__ == "__main__":
    main()

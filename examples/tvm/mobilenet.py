"""A convolutional network of MobileNetV2's shape: made with ONNX, imported and compiled by TVM, run by Tidegate.

    python mobilenet.py

The weights are random: what is shown is that every operator gives the CPU's numbers. Give TVM a real ONNX file in
the same way.
"""

import numpy as np
import onnx
import tidegate_tvm  # noqa: F401  Registers the runtime of target `webgpu`; nothing else is needed.
import tvm
from onnx import helper, numpy_helper
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

# Fifty layers of float32 sums in another order than the CPU's; the logits are of size 1.
TOLERANCE = {"rtol": 1e-3, "atol": 1e-4}

# One row a stage, as in the paper: expansion, channels out, blocks, stride of the first block.
STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


class Graph:
    """An ONNX graph under construction. Each method adds a node and gives its output's name."""

    def __init__(self, seed=7):
        self.nodes, self.weights = [], []
        self.random = np.random.default_rng(seed)

    def add(self, kind, inputs, **attributes):
        output = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def weight(self, value):
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value.astype(np.float32), name))
        return name

    def convolution(self, x, channels_in, channels_out, size=1, stride=1, groups=1, clip=True):
        """A convolution, batch normalisation, and ReLU6 unless the block ends here."""
        fan_in = channels_in // groups * size * size
        kernel = self.random.normal(0, (2 / fan_in) ** 0.5, (channels_out, channels_in // groups, size, size))
        x = self.add(
            "Conv", [x, self.weight(kernel)], group=groups, kernel_shape=[size, size], strides=[stride, stride],
            pads=[size // 2] * 4,
        )
        around_one = [self.random.uniform(0.9, 1.1, channels_out) for _ in range(2)]
        around_zero = [self.random.normal(0, 0.1, channels_out) for _ in range(2)]
        scale, variance = (self.weight(value) for value in around_one)
        bias, mean = (self.weight(value) for value in around_zero)
        x = self.add("BatchNormalization", [x, scale, bias, mean, variance])
        return self.add("Clip", [x, self.weight(np.array(0.0)), self.weight(np.array(6.0))]) if clip else x

    def inverted_residual(self, x, channels_in, channels_out, expansion, stride):
        """Widens, filters each channel alone, narrows; what came in is added where the shapes agree."""
        inner, y = channels_in * expansion, x
        if expansion > 1:
            y = self.convolution(y, channels_in, inner)
        y = self.convolution(y, inner, inner, size=3, stride=stride, groups=inner)
        y = self.convolution(y, inner, channels_out, clip=False)
        return self.add("Add", [x, y]) if stride == 1 and channels_in == channels_out else y


def network(side=224, width=1.0, classes=1000, stages=STAGES):
    """The ONNX model for square images of `side` pixels, its channels multiplied by `width`."""
    graph = Graph()
    channels = int(32 * width)
    x = graph.convolution("image", 3, channels, size=3, stride=2)
    for expansion, channels_out, blocks, stride in stages:
        for block in range(blocks):
            out = int(channels_out * width)
            x = graph.inverted_residual(x, channels, out, expansion, stride if block == 0 else 1)
            channels = out
    last = int(1280 * width)
    x = graph.convolution(x, channels, last)
    x = graph.add("Flatten", [graph.add("GlobalAveragePool", [x])])
    matrix = graph.weight(graph.random.normal(0, last**-0.5, (classes, last)))
    x = graph.add("Gemm", [x, matrix, graph.weight(np.zeros(classes))], transB=1)
    image = helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 3, side, side])
    answer = helper.make_tensor_value_info(x, onnx.TensorProto.FLOAT, [1, classes])
    made = helper.make_graph(graph.nodes, "mobilenet_v2", [image], [answer], graph.weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)])
    onnx.checker.check_model(model)
    return model


def run(model, target, device, image):
    """The logits of an image. TVM's importer makes the weights constants of the compiled model."""
    executable = tvm.compile(from_onnx(model), target=target)
    machine = relax.VirtualMachine(executable, device)
    return machine["main"](tvm.runtime.tensor(image, device)).numpy()


def main():
    model = network()
    image = np.random.default_rng(8).standard_normal((1, 3, 224, 224), dtype=np.float32)
    ours = run(model, "webgpu", tvm.device("webgpu", 0), image)
    reference = run(model, "llvm", tvm.cpu(), image)
    np.testing.assert_allclose(ours, reference, **TOLERANCE)
    print(f"{ours.size} logits agree with the CPU's; the largest difference is {abs(ours - reference).max():.1e}")


if __name__ == "__main__":
    main()

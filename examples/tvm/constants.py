"""A model with hundreds of constants, and why that is a test of a runtime.

    python constants.py

TVM's virtual machine uploads every constant of a model when it is made, one small copy after the other and no wait
between them. A runtime that copies through a ring of staging buffers must not use one again before the GPU has read
it. TVM's own Metal runtime has 64 and does not look: from the 65th constant on, early layers get later layers' numbers.
Here even the policy that holds everything back until somebody waits gives the right ones.
"""

import numpy as np
import tidegate_tvm
import tvm
from tvm import relax

WIDTH = 64
# Products with orthogonal matrices keep sizes: the answers are of size 13, and the error is that of float32.
TOLERANCE = {"rtol": 1e-3, "atol": 2e-3}


def layer_weights(layers, seed=7):
    """An orthogonal matrix and a bias for each layer."""
    random = np.random.default_rng(seed)
    matrices = [np.linalg.qr(random.standard_normal((WIDTH, WIDTH)))[0] for _ in range(layers)]
    return [(matrix.astype("float32"), random.standard_normal(WIDTH, dtype="float32")) for matrix in matrices]


def network(weights):
    """x = x @ matrix + bias for each layer, the weights as constants: two a layer. Every one shows in the answer."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, WIDTH), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            y = x
            for matrix, bias in weights:
                y = builder.emit(relax.op.add(relax.op.matmul(y, relax.const(matrix)), relax.const(bias)))
            y = builder.emit_output(y)
        builder.emit_func_output(y)
    return builder.get()


def run(module, target, device, x):
    """The network's answer; the constants are uploaded when the virtual machine is made."""
    machine = relax.VirtualMachine(tvm.compile(module, target=target), device)
    return machine["main"](tvm.runtime.tensor(x, device)).numpy()


def main(layers=200):
    module = network(layer_weights(layers))
    x = np.random.default_rng(8).standard_normal((1, WIDTH), dtype="float32")
    reference = run(module, "llvm", tvm.cpu(), x)
    for policy in ["every-dispatch", "until-sync", "adaptive"]:
        tidegate_tvm.set_policy(policy)
        ours = run(module, "webgpu", tvm.device("webgpu", 0), x)
        np.testing.assert_allclose(ours, reference, **TOLERANCE)
        print(f"{2 * layers} constants under {policy}: the largest difference is {abs(ours - reference).max():.1e}")


if __name__ == "__main__":
    main()

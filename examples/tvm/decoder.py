"""SmolLM2-135M in TVM, run by Tidegate: prefill, then one token at a time, from a KV cache.

    python decoder.py [--format q4|plain] [--number float16|float32] [--tokens N] [--prompt TEXT] [--model FILE.gguf]

Prints how the model goes on, taking the likeliest token each time, and how fast that is under three policies of when
launches are let through to the GPU. `smollm2.py` reads the weights and the tokenizer.
"""

import argparse
import os
import sys
import time
from dataclasses import dataclass

import numpy as np
import smollm2
import tidegate_tvm
import tvm
from tvm import relax, te, tirx
from tvm.relax.frontend import nn

POLICIES = ["every-dispatch", "until-sync", "adaptive"]
GROUP = 32  # Weights that share a scale and a least value.
PACKED = 8  # Weights of 4 bits in a word.


@dataclass
class Config:
    """A decoder's shape; these are SmolLM2-135M's."""

    format: str = "q4"  # Of the layers' matrices: "q4" for 4-bit numbers, or "plain".
    number: str = "float16"  # Of everything else; sums are float32 always.
    layers: int = 30
    width: int = 576
    hidden: int = 1536
    shared: int = 3  # Heads of keys and values.
    group: int = 3  # Heads of queries for each of them.
    head: int = 64
    vocabulary: int = 49152
    context: int = 2048
    epsilon: float = 1e-5


def product(x, weight, residual=None):
    """x times the rows of `weight`, summed in float32."""
    k = te.reduce_axis((0, x.shape[2]), "k")
    shape = (1, x.shape[1], weight.shape[0])
    total = te.compute(
        shape, lambda b, i, row: te.sum(x[b, i, k].astype("float32") * weight[row, k].astype("float32"), axis=k), "sum"
    )
    if residual is None:
        return te.compute(shape, lambda *at: total(*at).astype(x.dtype), "rounded")
    return te.compute(shape, lambda *at: (total(*at) + residual(*at).astype("float32")).astype(x.dtype), "added")


def product_q4(x, packed, scale, least, residual=None):
    """The same with 4-bit numbers, each of which stands for q * scale + least."""

    def unpack(row, k):
        shift = (k % PACKED * 4).astype("uint32")
        q = (packed[row, k // PACKED] >> shift) & tirx.const(15, "uint32")
        return q.astype(scale.dtype) * scale[row, k // GROUP] + least[row, k // GROUP]

    return product(x, te.compute((packed.shape[0], packed.shape[1] * PACKED), unpack, "unpacked"), residual)


class Linear(nn.Module):
    """A matrix in one of the two formats; a residual is added in the same kernel."""

    def __init__(self, config, inputs, outputs):
        super().__init__()
        self.product = product if config.format == "plain" else product_q4
        if config.format == "plain":
            self.parts = nn.ParameterList([nn.Parameter((outputs, inputs), config.number)])
        else:
            packed = nn.Parameter((outputs, inputs // PACKED), "uint32")
            scale_and_least = [nn.Parameter((outputs, inputs // GROUP), config.number) for _ in range(2)]
            self.parts = nn.ParameterList([packed, *scale_and_least])

    def forward(self, x, residual=None):
        residual = [] if residual is None else [residual]
        return nn.op.tensor_expr_op(self.product, "linear", [x, *self.parts, *residual])


class Layer(nn.Module):
    """Attention over all tokens so far, then a gated network for each token."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        outputs = (config.group + 2) * config.shared * config.head
        self.attention_norm = nn.RMSNorm(config.width, -1, config.epsilon, bias=False, dtype=config.number)
        self.query_key_value = Linear(config, config.width, outputs)
        self.output = Linear(config, config.group * config.shared * config.head, config.width)
        self.network_norm = nn.RMSNorm(config.width, -1, config.epsilon, bias=False, dtype=config.number)
        self.gate_up = Linear(config, config.width, 2 * config.hidden)
        self.down = Linear(config, config.hidden, config.width)
        self.keys = nn.KVCache(config.context, [config.shared, config.head], config.number)
        self.values = nn.KVCache(config.context, [config.shared, config.head], config.number)

    def forward(self, x, turns, total):
        rows = x.shape[1]
        mixed = self.query_key_value(self.attention_norm(x))
        query, key, value = nn.op.tensor_expr_op(self.split_and_turn, "turn", [mixed, *turns, total])
        self.keys.append(key)
        self.values.append(value)
        scores = nn.op.tensor_expr_op(self.score, "score", [query, self.keys.view(total), total])
        mixed = nn.op.tensor_expr_op(self.mix, "mix", [nn.op.softmax(scores, -1), self.values.view(total)])
        x = self.output(nn.op.reshape(mixed, (1, rows, -1)), x)
        return self.down(nn.op.tensor_expr_op(gated, "gated", [self.gate_up(self.network_norm(x))]), x)

    def split_and_turn(self, mixed, cosine, sine, total):
        """Rotary positions: pairs (2i, 2i + 1) of a query or key are turned by the token's place times a frequency."""
        config, rows = self.config, mixed.shape[1]
        first = total - rows
        queries = config.group * config.shared

        def turned(i, head, d):
            at = head * config.head + d
            other = tirx.if_then_else(d % 2 == 0, -mixed[0, i, at + 1], mixed[0, i, at - 1])
            place = (first + i, d // 2)
            result = mixed[0, i, at].astype("float32") * cosine[place] + other.astype("float32") * sine[place]
            return result.astype(mixed.dtype)

        shape = (rows, config.shared, config.head)
        query = te.compute((rows, queries, config.head), turned, "query")
        key = te.compute(shape, lambda i, head, d: turned(i, queries + head, d), "key")
        skipped = (queries + config.shared) * config.head
        value = te.compute(shape, lambda i, head, d: mixed[0, i, skipped + head * config.head + d], "value")
        return query, key, value

    def score(self, query, key, total):
        """How much each token so far matters to each new one; a token sees none after it."""
        config, rows = self.config, query.shape[0]
        d = te.reduce_axis((0, config.head), "d")
        shape = (config.shared, config.group, rows, total)

        def dot(shared, group, i, j):
            of_query = query[i, shared * config.group + group, d].astype("float32")
            return te.sum(of_query * key[j, shared, d].astype("float32"), axis=d)

        def masked(shared, group, i, j):
            scaled = products[shared, group, i, j] * tirx.const(config.head**-0.5, "float32")
            return tirx.Select(j <= total - rows + i, scaled, tirx.const(-1e30, "float32"))

        products = te.compute(shape, dot, "products")
        return te.compute(shape, masked, "scores")

    def mix(self, weights, value):
        """The sum of the values of all tokens so far, by their weights."""
        config, rows, total = self.config, weights.shape[2], value.shape[0]
        j = te.reduce_axis((0, total), "j")

        def weighted(i, shared, group, d):
            return te.sum(weights[shared, group, i, j] * value[j, shared, d].astype("float32"), axis=j)

        shape = (rows, config.shared, config.group, config.head)
        sums = te.compute(shape, weighted, "sums")
        return te.compute(shape, lambda *at: sums(*at).astype(value.dtype), "mixed")


def gated(both):
    """silu(gate) * up, of a row that holds the gates and then the ups."""
    hidden = both.shape[2] // 2

    def value(b, i, j):
        gate, up = both[b, i, j].astype("float32"), both[b, i, hidden + j].astype("float32")
        return (gate * te.sigmoid(gate) * up).astype(both.dtype)

    return te.compute((1, both.shape[1], hidden), value, "gated")


def last(x):
    """The last row."""
    return te.compute((1, 1, x.shape[2]), lambda b, i, j: x[b, x.shape[1] - 1, j], "last")


class Decoder(nn.Module):
    """Tokens in, logits of the token after the last one out."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter((config.vocabulary, config.width), config.number)
        self.cosine = nn.Parameter((config.context, config.head // 2), "float32")
        self.sine = nn.Parameter((config.context, config.head // 2), "float32")
        self.layers = nn.ModuleList([Layer(config) for _ in range(config.layers)])
        self.norm = nn.RMSNorm(config.width, -1, config.epsilon, bias=False, dtype=config.number)

    def forward(self, tokens, total):
        rows = tokens.shape[1]
        x = nn.op.reshape(nn.op.take(self.embedding, nn.op.reshape(tokens, (-1,)), 0), (1, rows, -1))
        for layer in self.layers:
            x = layer(x, [self.cosine, self.sine], total)
        x = self.norm(nn.op.tensor_expr_op(last, "last", [x]))
        return nn.op.tensor_expr_op(product, "logits", [x, self.embedding])

    def prefill(self, tokens, total):
        return self.forward(tokens, total)

    def decode(self, tokens, total):
        return self.forward(tokens, total)


def compile_for(config, target):
    """The compiled decoder, and the names of its weights in the order in which it takes them."""
    spec = {
        name: {
            "tokens": nn.spec.Tensor([1, rows], "int32"),
            "total": int,
            "$": {"param_mode": "packed", "effect_mode": "packed"},
        }
        for name, rows in [("prefill", "rows"), ("decode", 1)]
    }
    module, parameters = Decoder(config).export_tvm(spec)
    return tvm.compile(module, target=target), [name for name, _ in parameters]


class Generation:
    """A compiled decoder on a device, with its weights and a conversation's cache."""

    def __init__(self, executable, device, weights):
        self.device = device
        self.machine = relax.VirtualMachine(executable, device)
        self.weights = tvm.runtime.convert([tvm.runtime.tensor(weight, device) for weight in weights])
        self.restart()

    def restart(self):
        """Forgets the conversation."""
        self.cache, self.total = self.machine["_initialize_effect"](), 0

    def logits(self, tokens):
        """The logits of the token after these, which are added to the conversation."""
        self.total += len(tokens)
        function = self.machine["decode" if len(tokens) == 1 else "prefill"]
        tokens = tvm.runtime.tensor(np.array([tokens], "int32"), self.device)
        logits, self.cache = function(tokens, tvm.runtime.ShapeTuple([self.total]), self.cache, self.weights)
        return logits.numpy()[0, 0]

    def greedy(self, tokens, count):
        """The likeliest `count` tokens after these."""
        found = list(tokens)
        for _ in range(count):
            found.append(int(self.logits(tokens).argmax()))
            tokens = found[-1:]
        return found[-count:]


def measure(generation, tokens, count, policy):
    """The continuation under a policy, the seconds that a token of it took, and what was counted meanwhile."""
    tidegate_tvm.set_policy(policy)
    generation.restart()
    first = generation.greedy(tokens, 1)
    tidegate_tvm.reset_counters()
    began = time.perf_counter()
    found = generation.greedy(first, count)
    return first + found, (time.perf_counter() - began) / count, tidegate_tvm.counters()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--format", choices=["q4", "plain"], default="q4")
    parser.add_argument("--number", choices=["float16", "float32"], default="float16")
    parser.add_argument("--tokens", type=int, default=4, help="after the first one")
    parser.add_argument("--prompt", default="The three primary colours are")
    parser.add_argument("--model", default=os.environ.get("TIDEGATE_MODEL") or smollm2.PATH)
    arguments = parser.parse_args()
    if not os.path.isfile(arguments.model):
        sys.exit(f"error: there is no model {arguments.model}; `cargo xtask tvm --part model` fetches it, or pass --model FILE")

    config = Config(format=arguments.format, number=arguments.number)
    file = smollm2.Smollm2(arguments.model)
    executable, names = compile_for(config, "webgpu")
    weights = file.weights(config)
    generation = Generation(executable, tvm.device("webgpu", 0), [weights[name] for name in names])
    tokens = file.tokenizer.encode(arguments.prompt)
    generation.greedy(tokens, 2)  # The first run compiles the kernels.
    for policy in POLICIES:
        found, seconds, counters = measure(generation, tokens, arguments.tokens, policy)
        submissions, waits = (counters[name] / arguments.tokens for name in ("flushes", "syncs"))
        print(f"{policy}: {1 / seconds:.1f} tokens/s, {submissions:.1f} submissions and {waits:.1f} waits a token")
    print(arguments.prompt + file.tokenizer.decode(found))


if __name__ == "__main__":
    main()

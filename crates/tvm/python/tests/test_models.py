"""Whole models, small ones of each example's shape, against what TVM's target `llvm` computes.

What is sought in them is what single kernels do not show: hundreds of launches with shapes known at run time, weights
that stay, a cache that is written piece by piece, and constants that are uploaded in a row.
"""

import os
import pathlib
import sys

import numpy as np
import pytest
import tidegate_tvm
import tvm

sys.path.append(str(pathlib.Path(__file__).parents[4] / "examples" / "tvm"))

import constants  # noqa: E402
import decoder  # noqa: E402
import mlp  # noqa: E402
import mobilenet  # noqa: E402
import smollm2  # noqa: E402

POLICIES = ["every-dispatch", "until-sync", "adaptive"]

# Logits of size 1, through layers in 16-bit floats: each rounds to 1 in 2000, and the two targets sum in another order.
LOGITS_16 = {"rtol": 2e-2, "atol": 2e-2}
LOGITS_32 = {"rtol": 1e-3, "atol": 1e-3}


def test_mlp(dev):
    inputs = mlp.random_inputs(width=64, batch=8)
    ours, reference = mlp.run("webgpu", dev, inputs), mlp.run("llvm", tvm.cpu(), inputs)
    np.testing.assert_allclose(ours, reference, **mlp.TOLERANCE)
    np.testing.assert_allclose(ours.sum(1), 1, rtol=1e-5)


def test_mobilenet_from_onnx(dev):
    """Every kind of block: widening or not, with and without a residual, at stride 1 and 2."""
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 1, 2)]
    model = mobilenet.network(side=32, width=0.5, classes=10, stages=stages)
    image = np.random.default_rng(8).standard_normal((1, 3, 32, 32), dtype=np.float32)
    ours, reference = mobilenet.run(model, "webgpu", dev, image), mobilenet.run(model, "llvm", tvm.cpu(), image)
    np.testing.assert_allclose(ours, reference, **mobilenet.TOLERANCE)
    assert reference.std() > 0.1


LAYERS = 150


@pytest.fixture(scope="module")
def many_constants():
    """A model of 300 constants, compiled, with its input and the CPU's answer."""
    module = constants.network(constants.layer_weights(LAYERS))
    x = np.random.default_rng(8).standard_normal((1, constants.WIDTH), dtype="float32")
    return tvm.compile(module, target="webgpu"), x, constants.run(module, "llvm", tvm.cpu(), x)


@pytest.mark.parametrize("policy", POLICIES)
def test_hundreds_of_constants(dev, many_constants, policy):
    executable, x, reference = many_constants
    tidegate_tvm.set_policy(policy)
    tidegate_tvm.reset_counters()
    machine = tvm.relax.VirtualMachine(executable, dev)
    uploads = tidegate_tvm.counters()
    answer = machine["main"](tvm.runtime.tensor(x, dev)).numpy()
    np.testing.assert_allclose(answer, reference, **constants.TOLERANCE)
    assert uploads["cpu_to_gpu"] == 2 * LAYERS
    if policy == "until-sync":
        # Nothing is let through between the uploads, but for room in the staging ring.
        assert uploads["flushes"] < 2 * LAYERS // 64, uploads


def test_constants_in_reused_staging_would_show(many_constants):
    """With 64 staging buffers used again unread, a layer gets the weights of the last one that used its buffer."""
    weights = constants.layer_weights(LAYERS)
    flat = [part for layer in weights for part in layer]
    last = {index % 64: part for index, part in enumerate(flat)}
    spoilt = [last[index % 64] for index in range(len(flat))]
    _, x, reference = many_constants
    for matrix, bias in zip(spoilt[::2], spoilt[1::2]):
        x = x @ matrix + bias
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(x, reference, rtol=0.1, atol=0.1)


def test_uploads_from_memory_that_is_changed_at_once(dev):
    """What TVM's Metal runtime gets wrong without a model: 200 uploads from one array, changed after each."""
    tidegate_tvm.set_policy("until-sync")
    source = np.zeros(1024, "float32")
    held = []
    for value in range(200):
        source[:] = value
        held.append(tvm.runtime.empty((1024,), "float32", dev).copyfrom(source))
    for value, tensor in enumerate(held):
        np.testing.assert_array_equal(tensor.numpy(), np.full(1024, value, "float32"))


def small_decoder(**changes):
    shape = dict(layers=2, width=64, hidden=96, shared=2, group=2, head=16, vocabulary=256, context=32)
    return decoder.Config(**(shape | changes))


def random_weights(config):
    """Weights of the small decoder, by name."""
    random = np.random.default_rng(9)
    cosine, sine = smollm2.turns(config.context, config.head)
    named = {"embedding": random.standard_normal((config.vocabulary, config.width)), "cosine": cosine, "sine": sine}
    named["norm.weight"] = np.ones(config.width)
    heads = config.shared * config.head
    shapes = {
        "query_key_value": ((config.group + 2) * heads, config.width),
        "output": (config.width, config.group * heads),
        "gate_up": (2 * config.hidden, config.width),
        "down": (config.width, config.hidden),
    }
    for layer in range(config.layers):
        named |= {f"layers.{layer}.{name}_norm.weight": np.ones(config.width) for name in ("attention", "network")}
        for name, shape in shapes.items():
            matrix = random.standard_normal(shape) * shape[1] ** -0.5
            parts = smollm2.pack(matrix, config.number) if config.format == "q4" else [matrix.astype(config.number)]
            named |= {f"layers.{layer}.{name}.parts.{index}": part for index, part in enumerate(parts)}
    kept = {"float32", "uint32"}
    return {name: part if str(part.dtype) in kept else part.astype(config.number) for name, part in named.items()}


def generations(config, weights, dev):
    """The decoder on the GPU and on the CPU."""
    for target, device in [("webgpu", dev), ("llvm", tvm.cpu())]:
        executable, names = decoder.compile_for(config, target)
        yield decoder.Generation(executable, device, [weights[name] for name in names])


@pytest.mark.parametrize("format", ["plain", "q4"])
@pytest.mark.parametrize("number", ["float16", "float32"])
def test_decoder(dev, format, number):
    """A prefill, five tokens one by one, and a second prefill into the same cache."""
    config = small_decoder(format=format, number=number)
    weights = random_weights(config)
    ours, reference = generations(config, weights, dev)
    tolerance = LOGITS_16 if number == "float16" else LOGITS_32
    for tokens in [[3, 1, 4, 1, 5], [9], [2], [6], [5], [3], [5, 8, 9, 7, 9, 3, 2]]:
        expected = reference.logits(tokens)
        size = abs(expected).max()
        np.testing.assert_allclose(ours.logits(tokens) / size, expected / size, **tolerance)


def test_prefill_and_decode_agree(dev):
    """The same tokens at once and one by one: the cache holds what a prefill computes."""
    config = small_decoder(number="float32")
    weights = random_weights(config)
    executable, names = decoder.compile_for(config, "webgpu")
    generation = decoder.Generation(executable, dev, [weights[name] for name in names])
    tokens = [3, 1, 4, 1, 5, 9, 2, 6]
    at_once = generation.logits(tokens)
    generation.restart()
    for token in tokens:
        one_by_one = generation.logits([token])
    np.testing.assert_allclose(one_by_one, at_once, rtol=1e-3, atol=1e-3 * abs(at_once).max())


def test_policies_give_the_same_text(dev):
    config = small_decoder()
    weights = random_weights(config)
    executable, names = decoder.compile_for(config, "webgpu")
    generation = decoder.Generation(executable, dev, [weights[name] for name in names])
    texts, flushes = [], {}
    for policy in POLICIES:
        text, _, counters = decoder.measure(generation, [3, 1, 4], 8, policy)
        texts.append(text)
        flushes[policy] = counters["flushes"]
        assert counters["dispatches"] > 8 * config.layers * 5
    assert texts[0] == texts[1] == texts[2]
    assert flushes["until-sync"] * 5 < flushes["every-dispatch"], flushes


def test_cache_folder(monkeypatch):
    """As `cargo xtask` looks for it: a relative folder would be another one each time."""
    monkeypatch.setenv("HOME", "/ebb")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert smollm2.cache_folder() == "/cache"
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert smollm2.cache_folder() in ["/ebb/.cache", "/ebb/Library/Caches"]


@pytest.fixture(scope="module")
def real():
    path = os.environ.get("TIDEGATE_MODEL") or smollm2.PATH
    if not os.path.exists(path):
        pytest.fail(f"{path} is missing: `cargo xtask tvm --part model` fetches it, or set TIDEGATE_MODEL")
    return smollm2.Smollm2(path)


def test_tokenizer(real):
    """As the model's own tokenizer cuts texts; words, digits, signs, spaces, letters beyond ASCII."""
    assert real.tokenizer.encode("The three primary colours are") == [504, 1296, 3003, 14797, 359]
    for text in ["x = 1024;\n\n  y", "Grüße, 世界! it's", "\ttabs  and   spaces ", "a_b __c__ 3.14"]:
        assert real.tokenizer.decode(real.tokenizer.encode(text)) == text


def test_smollm2(dev, real):
    """The real weights, all layers: what the CPU finds likeliest is what is found here."""
    config = decoder.Config(context=64)
    weights = real.weights(config)
    ours, reference = generations(config, weights, dev)
    tokens = real.tokenizer.encode("The capital of France is")
    for _ in range(3):
        expected, found = reference.logits(tokens), ours.logits(tokens)
        size = abs(expected).max()
        np.testing.assert_allclose(found / size, expected / size, **LOGITS_16)
        assert found.argmax() == expected.argmax()
        tokens = [int(found.argmax())]
    assert ours.total == 7

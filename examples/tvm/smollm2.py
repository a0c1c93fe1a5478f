"""SmolLM2's weights and tokenizer from a GGUF file, for decoder.py."""

import os
import re
import sys

import gguf
import numpy as np
from gguf.quants import dequantize


def cache_folder():
    """The user's folder for what can be made again, found as `cargo xtask demo` finds it."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(named):
        return named
    if sys.platform == "win32":
        return os.environ.get("LOCALAPPDATA", "")
    return os.path.expanduser("~/Library/Caches" if sys.platform == "darwin" else "~/.cache")


# Where `cargo xtask demo` keeps it.
PATH = os.path.join(cache_folder(), "tidegate", "SmolLM2-135M-Instruct.Q4_1.gguf")
BASE = 100000.0  # Of the frequencies of rotary positions.


def pack(matrix, number="float16", group=32):
    """A matrix as 4-bit numbers, eight in a word, with a scale and a least value for each group along a row."""
    rows, columns = matrix.shape
    groups = matrix.reshape(rows, columns // group, group).astype(np.float32)
    least = groups.min(axis=2).astype(number)
    scale = ((groups.max(axis=2) - least) / 15).astype(number)
    steps = np.where(scale == 0, 1, scale).astype(np.float32)[..., None]
    q = np.clip(np.rint((groups - least[..., None]) / steps), 0, 15).astype(np.uint32)
    words = q.reshape(rows, columns // 8, 8) << (np.arange(8, dtype=np.uint32) * 4)
    return [np.bitwise_or.reduce(words, axis=2), scale, least]


def turns(context, head, base=BASE):
    """Cosines and sines of rotary positions, in float32 from float64: a GPU's own are good for small angles only."""
    angles = np.arange(context)[:, None] * base ** (-np.arange(0, head, 2) / head)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


class Smollm2:
    """A GGUF file of SmolLM2."""

    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.tensors = {tensor.name: tensor for tensor in reader.tensors}
        tokens = reader.fields["tokenizer.ggml.tokens"].contents()
        merges = reader.fields["tokenizer.ggml.merges"].contents()
        self.tokenizer = Tokenizer(tokens, merges)
        self.end = reader.fields["tokenizer.ggml.eos_token_id"].contents()

    def matrix(self, name):
        """A tensor's numbers, dequantised."""
        tensor = self.tensors[f"{name}.weight"]
        return dequantize(tensor.data, tensor.tensor_type)

    def weights(self, config):
        """Every weight of decoder.py's model under its name there."""
        cosine, sine = turns(config.context, config.head)
        named = {"embedding": self.matrix("token_embd").astype(config.number), "cosine": cosine, "sine": sine}
        named["norm.weight"] = self.matrix("output_norm").astype(config.number)
        for layer in range(config.layers):
            ours, theirs = f"layers.{layer}", f"blk.{layer}"
            named[f"{ours}.attention_norm.weight"] = self.matrix(f"{theirs}.attn_norm").astype(config.number)
            named[f"{ours}.network_norm.weight"] = self.matrix(f"{theirs}.ffn_norm").astype(config.number)
            matrices = {
                "query_key_value": ["attn_q", "attn_k", "attn_v"],
                "output": ["attn_output"],
                "gate_up": ["ffn_gate", "ffn_up"],
                "down": ["ffn_down"],
            }
            for name, sources in matrices.items():
                matrix = np.concatenate([self.matrix(f"{theirs}.{source}") for source in sources])
                parts = [matrix.astype(config.number)] if config.format == "plain" else pack(matrix, config.number)
                named |= {f"{ours}.{name}.parts.{index}": part for index, part in enumerate(parts)}
        return named


class Tokenizer:
    """Byte-level BPE: bytes become printable characters; pairs of tokens are merged, the earliest in the list first."""

    # Words as GPT-2 cuts them, with each digit alone. `[^\W\d_]` is a letter.
    WORDS = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[^\W\d_]+| ?\d| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")

    def __init__(self, tokens, merges):
        self.tokens = tokens
        self.ids = {token: index for index, token in enumerate(tokens)}
        self.ranks = {tuple(merge.split(" ")): rank for rank, merge in enumerate(merges)}
        plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
        others = [byte for byte in range(256) if byte not in plain]
        self.characters = {byte: chr(byte) for byte in plain}
        self.characters |= {byte: chr(256 + index) for index, byte in enumerate(others)}
        self.bytes = {character: byte for byte, character in self.characters.items()}

    def encode(self, text):
        return [self.ids[token] for word in self.WORDS.findall(text) for token in self.merged(word)]

    def merged(self, word):
        parts = [self.characters[byte] for byte in word.encode()]
        while len(parts) > 1:
            pairs = list(zip(parts, parts[1:]))
            first = min(pairs, key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if first not in self.ranks:
                break
            at = pairs.index(first)
            parts[at : at + 2] = ["".join(first)]
        return parts

    def decode(self, ids):
        text = "".join(self.tokens[index] for index in ids)
        return bytes(self.bytes[character] for character in text if character in self.bytes).decode(errors="replace")

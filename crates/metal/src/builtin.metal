// Transfers that Metal's blit encoder cannot do, or for which a compute encoder need not end.

#include <metal_stdlib>

// Bytes that travel in the command buffer, as whole words.
kernel void tidegate_upload(
  device metal::uint* target [[buffer(0)]]
, constant metal::uint* words [[buffer(1)]]
, constant metal::uint& count [[buffer(2)]]
, metal::uint index [[thread_position_in_grid]]
) {
    if (index < count) {
        target[index] = words[index];
    }
}

// A pattern of 32 bits, again and again. A blit's pattern has 8.
kernel void tidegate_fill(
  device metal::uint* target [[buffer(0)]]
, constant metal::uint& pattern [[buffer(1)]]
, constant metal::uint& count [[buffer(2)]]
, metal::uint index [[thread_position_in_grid]]
) {
    if (index < count) {
        target[index] = pattern;
    }
}

// Bytes at any offset, 16 a thread. A blit on a Mac wants multiples of 4.
kernel void tidegate_copy(
  device metal::uchar* target [[buffer(0)]]
, device metal::uchar const* source [[buffer(1)]]
, constant metal::uint& count [[buffer(2)]]
, metal::uint index [[thread_position_in_grid]]
) {
    metal::uint first = index * 16u;
    for (metal::uint at = first; at < first + 16u && at < count; at += 1u) {
        target[at] = source[at];
    }
}

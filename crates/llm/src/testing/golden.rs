/// A text whose tokens and likelihood are known. Its ids are the same by llama.cpp and by a separate implementation of BPE.
pub const GOLDEN_TEXT: &str = "\
    It was the best of times, it was the worst of times, it was the age of wisdom, it was the \
    age of foolishness, it was the epoch of belief, it was the epoch of incredulity. The \
    photosynthesis process converts light energy into chemical energy that plants store in \
    glucose molecules. In mathematics, a prime number is a natural number greater than 1 that \
    is not a product of two smaller natural numbers. Water boils at 100 degrees Celsius at sea \
    level, but at a lower temperature on high mountains because the air pressure is lower \
    there.";

/// The tokens of [`GOLDEN_TEXT`] in SmolLM2's vocabulary.
pub const GOLDEN_IDS: [u32; 115] = [
    1589, 436, 260, 1450, 282, 1711, 28, 357, 436, 260, 9250, 282, 1711, 28, 357, 436, 260, 1850,
    282, 6655, 28, 357, 436, 260, 1850, 282, 29369, 924, 28, 357, 436, 260, 13406, 282, 3357, 28,
    357, 436, 260, 13406, 282, 5009, 336, 383, 30, 378, 19173, 980, 18065, 1420, 1439, 618, 2819,
    1439, 338, 2109, 4249, 281, 8102, 6756, 30, 533, 6530, 28, 253, 9552, 1230, 314, 253, 1782,
    1230, 2852, 670, 216, 33, 338, 314, 441, 253, 1406, 282, 827, 3764, 1782, 2966, 30, 4643,
    36411, 418, 216, 33, 32, 32, 5027, 20590, 418, 3426, 1106, 28, 564, 418, 253, 2208, 2779, 335,
    904, 8718, 975, 260, 1512, 2456, 314, 2208, 665, 30,
];

/// The mean negative log-likelihood of [`GOLDEN_IDS`] in nats, from weights dequantised to single precision.
/// llama.cpp, which rounds activations to 8 bits on a CPU, gets 2.2645.
pub const GOLDEN_NLL: f64 = 2.246870;

use std::sync::LazyLock;

use proptest::prelude::*;

use super::ControlText::{Plain, Token};
use super::*;
use crate::config::Architecture;
use crate::gguf::{Array, GgufFile, Value};
use crate::testing::{GOLDEN_IDS, GOLDEN_TEXT, GgufWriter, TinyModel, model_path};

/// Expected ids were made twice on 22 November 2026: by llama.cpp's server (xllamacpp 2026.10, `/tokenize`) and by a
/// separate implementation of byte-level BPE in Python with the `regex` module. The two agree on every case.
const CASES: &[(&str, ControlText, &[u32])] = &[
    ("", Plain, &[]),
    (" ", Plain, &[216]),
    ("Hello, world!", Plain, &[19556, 28, 905, 17]),
    (
        "In 2024, 3.14159 is 1,000,000 times ٣ or ½ or Ⅷ",
        Plain,
        &[
            788, 216, 34, 32, 34, 36, 28, 216, 35, 30, 33, 36, 33, 37, 41, 314, 216, 33, 28, 32,
            32, 32, 28, 32, 32, 32, 1711, 216, 164, 113, 355, 216, 16738, 355, 216, 173, 223, 117,
        ],
    ),
    (
        "Ça va, déjà vu? Ångström naïve Zürich e\u{301}",
        Plain,
        &[
            142, 225, 81, 46316, 28, 32564, 90, 16739, 386, 101, 47, 5549, 223, 863, 1321, 45682,
            15486, 46494, 1777, 7170, 5130, 297, 151, 219,
        ],
    ),
    (
        "你好，世界。日本語のテキスト 한국어",
        Plain,
        &[
            18645, 250, 48392, 138, 12831, 7906, 240, 178, 239, 230, 19076, 23274, 115, 40993, 179,
            120, 248, 26453, 11100, 224, 10391, 251, 10391, 134, 11100, 226, 216, 33085, 246, 181,
            130, 251, 183, 240, 129,
        ],
    ),
    (
        "🙂 👩\u{200d}👩\u{200d}👧\u{200d}👦 🇫🇷 ✨",
        Plain,
        &[
            10813, 38887, 15107, 235, 119, 321, 231, 10813, 235, 119, 321, 231, 10813, 235, 117,
            321, 231, 10813, 235, 116, 15107, 225, 121, 10813, 225, 132, 4636, 246, 118,
        ],
    ),
    (
        "fn main() {\n    println!(\"{}\", x[0] += 1);\n\treturn;\n}\n",
        Plain,
        &[
            7853, 1085, 1000, 1662, 472, 1628, 34115, 17, 43331, 1002, 1792, 75, 32, 77, 4519, 216,
            33, 4258, 198, 197, 5406, 43, 198, 109, 198,
        ],
    ),
    ("   three leading spaces", Plain, &[256, 1296, 2899, 5600]),
    ("trailing   ", Plain, &[4861, 4966, 333]),
    (
        "a\n\n\nb\r\n\tc \n d",
        Plain,
        &[81, 1116, 198, 82, 2738, 197, 83, 3717, 287],
    ),
    (
        "I'm you're we'll don't I'VE it's",
        Plain,
        &[
            57, 5248, 346, 2316, 392, 3060, 1326, 982, 339, 23, 18525, 357, 506,
        ],
    ),
    (
        "<|im_start|>user\nHi<|im_end|>\n",
        Token,
        &[1, 4093, 198, 26843, 2, 198],
    ),
    (
        "<|im_start|>user\nHi<|im_end|>\n",
        Plain,
        &[
            44, 108, 306, 79, 3738, 108, 46, 4093, 198, 26843, 44, 108, 306, 79, 486, 108, 46, 198,
        ],
    ),
    (
        "a<|endoftext|>b<|im_end|><|im_end|> c",
        Token,
        &[81, 0, 82, 2, 2, 265],
    ),
    (
        "\u{a0}\u{3000} \u{2028}x",
        Plain,
        &[15442, 12109, 218, 216, 321, 118, 104],
    ),
    (
        "https://example.com/a_b?c=1&d=%20#é",
        Plain,
        &[
            4687, 1742, 7434, 30, 824, 31, 81, 79, 82, 47, 83, 45, 33, 22, 84, 23446, 34, 32, 19,
            2756,
        ],
    ),
    (
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        Plain,
        &[
            46880, 46880, 46880, 46880, 46880, 46880, 46880, 46880, 46880, 46880,
        ],
    ),
    (
        "Здравствуй, мир! שלום مرحبا",
        Plain,
        &[
            155, 241, 19263, 23728, 16464, 24674, 16464, 14714, 24958, 28, 41337, 7872, 9175, 17,
            12960, 119, 31838, 23970, 162, 247, 36395, 20602, 44626, 31462, 10805,
        ],
    ),
    ("\u{0}\u{1}\u{7f}", Plain, &[190, 191, 217]),
];

fn smollm() -> Tokenizer {
    Tokenizer::from_gguf(GgufFile::open(model_path()).unwrap().header()).unwrap()
}

#[test]
fn texts_of_all_kinds_have_the_known_tokens() {
    let tokenizer = smollm();
    for &(text, control, expected) in CASES {
        let found = tokenizer.encode(text, control).unwrap();
        assert_eq!(found, expected, "{text:?}, {control:?}");
        if control == Plain {
            assert_eq!(tokenizer.decode(&found), text);
        }
        let mut stream = TextStream::default();
        let mut shown: String = found
            .iter()
            .map(|&id| stream.push(tokenizer.bytes(id)))
            .collect();
        assert!(!shown.contains(char::REPLACEMENT_CHARACTER), "{text:?}");
        shown += &stream.finish();
        assert_eq!(shown, tokenizer.decode(&found));
    }
    assert_eq!(tokenizer.encode(GOLDEN_TEXT, Plain).unwrap(), GOLDEN_IDS);
}

#[test]
fn the_model_says_where_texts_end() {
    let tokenizer = smollm();
    assert_eq!(
        (tokenizer.vocabulary(), tokenizer.begin(), tokenizer.end()),
        (49152, None, Some(2))
    );
    let ends: Vec<u32> = (0..50_000).filter(|&id| tokenizer.ends(id)).collect();
    assert_eq!(ends, [0, 2]);
}

#[test]
fn control_tokens_are_not_text() {
    let tokenizer = smollm();
    let ids = tokenizer
        .encode("<|im_start|>user\nHi<|im_end|>", Token)
        .unwrap();
    assert_eq!(tokenizer.decode(&ids), "user\nHi");
    assert_eq!(tokenizer.bytes(1), b"");
    assert_eq!(tokenizer.bytes(u32::MAX), b"");
}

#[test]
fn what_the_vocabulary_cannot_express_is_named() {
    let error = smollm().encode("naïve\u{4}", Plain).unwrap_err();
    assert!(
        matches!(
            error,
            TokenizerError::NotInVocabulary {
                character: '\u{4}',
                offset: 6
            }
        ),
        "{error}"
    );
}

#[test]
fn the_longest_texts_are_split_as_any_other() {
    let tokenizer = smollm();
    // The last space belongs to the word, however long the run: the engine forgets that from 1,000,000 spaces on.
    let spaces = tokenizer
        .encode(&(" ".repeat(TEXT_BYTES_MAX - 2) + "xy"), Plain)
        .unwrap();
    let word = tokenizer.encode(" xy", Plain).unwrap();
    assert_ne!(word, tokenizer.encode("xy", Plain).unwrap());
    assert_eq!(spaces[spaces.len() - word.len()..], word);
    let digits = tokenizer
        .encode(&"7".repeat(TEXT_BYTES_MAX), Plain)
        .unwrap();
    assert_eq!(digits.len(), TEXT_BYTES_MAX);
    let text = "a".repeat(TEXT_BYTES_MAX + 1);
    assert!(matches!(
        tokenizer.encode(&text, Plain),
        Err(TokenizerError::TextTooLong { .. })
    ));
}

fn tiny(change: impl FnOnce(&mut GgufWriter)) -> Result<Tokenizer, TokenizerError> {
    let mut writer = TinyModel::default().writer();
    change(&mut writer);
    let bytes = writer.bytes();
    Tokenizer::from_gguf(&Gguf::parse(&bytes[..], bytes.len() as u64).unwrap())
}

fn strings(texts: &[&str]) -> Value {
    Value::Array(Array::String(
        texts.iter().map(|&text| text.to_owned()).collect(),
    ))
}

#[test]
fn a_tiny_tokenizer_works() {
    let tokenizer = tiny(|_| {}).unwrap();
    assert_eq!(tokenizer.encode("abé", Plain).unwrap(), [256, 0xC3, 0xA9]);
    assert_eq!(
        tokenizer.encode("a<|im_end|>", Token).unwrap(),
        [u32::from(b'a'), 258]
    );
    assert_eq!(tokenizer.decode(&[256, 258, 0xE4]), "ab\u{FFFD}");
    let adds_begin = tiny(|writer| {
        writer.set("tokenizer.ggml.add_bos_token", Value::Bool(true));
    });
    assert_eq!(adds_begin.unwrap().begin(), Some(257));
    let one_number = |pre: &str| {
        let tokenizer = tiny(|writer| {
            writer
                .set("tokenizer.ggml.merges", strings(&[]))
                .set("tokenizer.ggml.pre", Value::String(pre.to_owned()));
        });
        tokenizer.unwrap().encode("12", Plain).unwrap()
    };
    assert_eq!(one_number("gpt-2"), one_number("smollm"));
}

/// Merges that show where Qwen2's words begin and end: some always happen, some never do. Their tokens take the places of bytes that no text has.
const QWEN2_MERGES: [&str; 14] = [
    "a b", "Ġ x", "1 2", "' S", "! Ċ", "Ġ Ġ", "Ċ x", "( x", "Ċ Ċ", "Ġ 1", "Ġ !", "x y", "S x",
    "Ġ (",
];

/// The ids are by llama.cpp's server from the same vocabulary (xllamacpp 2026.10, `/tokenize`, 24 November 2026).
const QWEN2_CASES: &[(&str, &[u32])] = &[
    ("x x12 1", &[120, 192, 49, 50, 32, 49]),
    ("I'S'Sx", &[73, 245, 245, 120]),
    ("x!\n\nx (x", &[120, 246, 10, 120, 255, 120]),
    ("  x\n\n  \n x", &[32, 192, 250, 247, 10, 192]),
    ("x ! !\n", &[120, 252, 32, 246]),
    ("x   1", &[120, 247, 32, 49]),
    ("x \n\n\n!!\r\n x", &[120, 32, 250, 10, 33, 33, 13, 10, 192]),
    ("xy_xy-x(xy)", &[253, 95, 253, 45, 120, 249, 121, 41]),
    (
        "'s 'T we'll WE'LL",
        &[
            39, 115, 32, 39, 84, 32, 119, 101, 39, 108, 108, 32, 87, 69, 39, 76, 76,
        ],
    ),
    ("½Ⅷ٣x", &[194, 189, 226, 133, 167, 217, 163, 120]),
    ("x  ", &[120, 247]),
    (" (( x", &[255, 40, 192]),
    (
        "a\u{a0}x\u{3000} x",
        &[97, 194, 160, 120, 227, 128, 128, 192],
    ),
];

fn qwen2(change: impl FnOnce(&mut GgufWriter)) -> Tokenizer {
    let tiny = TinyModel {
        architecture: Architecture::Qwen2,
        ..TinyModel::default()
    };
    let mut writer = tiny.writer();
    let bytes = writer.bytes();
    let gguf = Gguf::parse(&bytes[..], bytes.len() as u64).unwrap();
    let mut tokens = gguf.strings("tokenizer.ggml.tokens").unwrap().to_vec();
    let never = [0xC0, 0xC1].into_iter().chain(0xF5..=0xFF);
    for (id, merge) in never.zip(&QWEN2_MERGES[1..]) {
        tokens[id] = merge.replace(' ', "");
    }
    writer
        .set("tokenizer.ggml.tokens", Value::Array(Array::String(tokens)))
        .set("tokenizer.ggml.merges", strings(&QWEN2_MERGES));
    change(&mut writer);
    let bytes = writer.bytes();
    Tokenizer::from_gguf(&Gguf::parse(&bytes[..], bytes.len() as u64).unwrap()).unwrap()
}

#[test]
fn qwen2_has_words_of_its_own() {
    let tokenizer = qwen2(|_| {});
    for &(text, expected) in QWEN2_CASES {
        let found = tokenizer.encode(text, Plain).unwrap();
        assert_eq!(found, expected, "{text:?}");
        assert_eq!(tokenizer.decode(&found), text);
    }
    assert_eq!(
        tokenizer.encode("x<|im_end|> x", Token).unwrap(),
        [120, 258, 192]
    );
}

#[test]
fn qwen2_composes_characters_as_its_own_tokenizer_does() {
    let tokenizer = qwen2(|_| {});
    let composed = tokenizer.encode("e\u{301}x", Plain).unwrap();
    assert_eq!(composed, tokenizer.encode("éx", Plain).unwrap());
    assert_eq!(composed, [0xC3, 0xA9, 120]);
    // A control token is found before, whatever its last character would compose to.
    assert_eq!(
        tokenizer.encode("<|im_end|>\u{338}", Token).unwrap(),
        [258, 0xCC, 0xB8]
    );
    // What composing makes may be missing too.
    let without = qwen2(|writer| {
        let bytes = writer.bytes();
        let gguf = Gguf::parse(&bytes[..], bytes.len() as u64).unwrap();
        let mut tokens = gguf.strings("tokenizer.ggml.tokens").unwrap().to_vec();
        tokens[0xA9] = "gone".to_owned();
        writer.set("tokenizer.ggml.tokens", Value::Array(Array::String(tokens)));
    });
    let error = without.encode("xe\u{301}", Plain).unwrap_err();
    assert!(
        matches!(
            error,
            TokenizerError::NotInVocabulary {
                character: 'é',
                offset: 1
            }
        ),
        "{error}"
    );
}

#[test]
fn qwen2_splits_the_longest_texts_as_any_other() {
    let tokenizer = qwen2(|_| {});
    let spaces = " ".repeat(TEXT_BYTES_MAX - 1) + "x";
    let found = tokenizer.encode(&spaces, Plain).unwrap();
    assert_eq!(found.last(), Some(&192));
    assert_eq!(tokenizer.decode(&found), spaces);
    for text in ["!", "7", "\n", " \n", "xy", "'s", "\u{301}"] {
        let text = text.repeat(TEXT_BYTES_MAX / text.len());
        let found = tokenizer.encode(&text, Plain).unwrap();
        assert_eq!(tokenizer.decode(&found), text);
    }
}

#[test]
fn ends_are_named_by_the_file_or_are_control_tokens() {
    let ends = |tokenizer: &Tokenizer| -> Vec<u32> {
        (0..tokenizer.vocabulary())
            .filter(|&id| tokenizer.ends(id))
            .collect()
    };
    assert_eq!(ends(&tiny(|_| {}).unwrap()), [258]);
    let named = tiny(|writer| {
        writer
            .set("tokenizer.ggml.eos_token_id", Value::U32(7))
            .set("tokenizer.ggml.eot_token_id", Value::U32(256));
    });
    assert_eq!(ends(&named.unwrap()), [7, 256, 258]);
    let all_plain = tiny(|writer| {
        writer
            .remove("tokenizer.ggml.eos_token_id")
            .remove("tokenizer.ggml.token_type");
    });
    assert!(ends(&all_plain.unwrap()).is_empty());
}

#[test]
fn corrupt_tokenizers_are_refused() {
    let with = |key: &str, value: Value| {
        tiny(|writer| {
            writer.set(&format!("tokenizer.ggml.{key}"), value);
        })
        .unwrap_err()
    };
    let text = |text: &str| Value::String(text.to_owned());
    assert!(
        matches!(with("model", text("llama")), TokenizerError::UnsupportedModel { name } if name == "llama")
    );
    assert!(
        matches!(with("pre", text("llama-bpe")), TokenizerError::UnsupportedSplit { name } if name == "llama-bpe")
    );
    assert!(matches!(
        with("tokens", strings(&["a"])),
        TokenizerError::VocabularyDiffers {
            tokens: 1,
            vocabulary: 259
        }
    ));
    assert!(matches!(
        with("tokens", Value::U8(1)),
        TokenizerError::Gguf(GgufError::WrongType { .. })
    ));
    let repeated = vec!["x"; TinyModel::VOCABULARY as usize];
    assert!(matches!(
        with("tokens", strings(&repeated)),
        TokenizerError::DuplicateToken {
            first: 0,
            second: 1,
            ..
        }
    ));
    let types = Value::Array(Array::I32(vec![1]));
    assert!(matches!(
        with("token_type", types),
        TokenizerError::TypesMissing { types: 1, .. }
    ));
    for merge in ["ab", "", "a", "b a", "zz zz"] {
        let error = with("merges", strings(&["a b", merge]));
        assert!(
            matches!(error, TokenizerError::BadMerge { index: 1, .. }),
            "{merge:?}: {error}"
        );
    }
    for key in ["bos_token_id", "eos_token_id", "eot_token_id"] {
        let error = with(key, Value::U32(TinyModel::VOCABULARY));
        assert!(
            matches!(error, TokenizerError::NoSuchToken { id: 259, .. }),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn any_text_comes_back(text in prop_oneof![any::<String>(), "[ab 0-9\n<|im_end>é🙂]{0,40}"]) {
        static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| tiny(|_| {}).unwrap());
        let ids = TOKENIZER.encode(&text, Plain).unwrap();
        prop_assert_eq!(TOKENIZER.decode(&ids), text);
    }
}

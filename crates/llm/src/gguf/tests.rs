use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::chat::{ChatTemplate, Message};
use crate::config::Config;
use crate::testing::{GgufWriter, TinyModel};
use crate::tokenizer::{ControlText, Tokenizer};

/// Its header has about 9,000 bytes.
static TINY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    TinyModel {
        layers: 1,
        ..TinyModel::default()
    }
    .bytes()
});

fn parse(bytes: &[u8]) -> Result<Gguf, GgufError> {
    Gguf::parse(bytes, bytes.len() as u64)
}

fn every_type() -> GgufWriter {
    let mut writer = GgufWriter::default();
    writer
        .add("u8", Value::U8(1))
        .add("i8", Value::I8(-1))
        .add("u16", Value::U16(2))
        .add("i16", Value::I16(-2))
        .add("u32", Value::U32(3))
        .add("i32", Value::I32(-3))
        .add("u64", Value::U64(1 << 40))
        .add("i64", Value::I64(-4))
        .add("f32", Value::F32(0.5))
        .add("f64", Value::F64(-0.25))
        .add("bool", Value::Bool(true))
        .add("string", Value::String("Grüße, 世界".to_owned()))
        .add("u8s", Value::Array(Array::U8(vec![1, 2])))
        .add("i8s", Value::Array(Array::I8(vec![-1])))
        .add("u16s", Value::Array(Array::U16(vec![513])))
        .add("i16s", Value::Array(Array::I16(vec![-513])))
        .add("u32s", Value::Array(Array::U32(vec![70_000])))
        .add("i32s", Value::Array(Array::I32(vec![-70_000, 4])))
        .add("u64s", Value::Array(Array::U64(vec![1 << 33])))
        .add("i64s", Value::Array(Array::I64(vec![])))
        .add("f32s", Value::Array(Array::F32(vec![1.0, 2.5])))
        .add("f64s", Value::Array(Array::F64(vec![1e300])))
        .add("bools", Value::Array(Array::Bool(vec![false, true])))
        .add(
            "strings",
            Value::Array(Array::String(vec!["a".into(), String::new()])),
        )
        .add(
            "nested",
            Value::Array(Array::Array(vec![
                Array::U8(vec![9]),
                Array::String(vec!["x".into()]),
            ])),
        )
        .tensor("matrix", &[32, 3], TensorType::Q4_1, (0..60).collect())
        .tensor("vector", &[3], TensorType::F32, vec![7; 12])
        .tensor("half", &[1, 2, 1, 2], TensorType::F16, vec![8; 8])
        .tensor("super", &[256], TensorType::Q6K, vec![9; 210]);
    writer
}

#[test]
fn every_value_type_round_trips() {
    for version in [2, 3] {
        let mut writer = every_type();
        writer.version = version;
        let gguf = parse(&writer.bytes()).unwrap();
        assert_eq!(gguf.version(), version);
        assert_eq!(gguf.metadata().len(), 25);
        let mut again = GgufWriter::default();
        for (key, value) in gguf.metadata() {
            again.add(key, value.clone());
        }
        assert_eq!(parse(&again.bytes()).unwrap().metadata(), gguf.metadata());
        assert_eq!(
            gguf.metadata()["nested"],
            Value::Array(Array::Array(vec![
                Array::U8(vec![9]),
                Array::String(vec!["x".into()]),
            ]))
        );
        assert_eq!(
            gguf.metadata()["i16s"],
            Value::Array(Array::I16(vec![-513]))
        );
    }
}

#[test]
fn accessors_convert_or_say_what_they_found() {
    let gguf = parse(&every_type().bytes()).unwrap();
    assert_eq!(gguf.u32("u8").unwrap(), 1);
    assert_eq!(gguf.u32("u32").unwrap(), 3);
    assert_eq!(gguf.f32("f64").unwrap(), -0.25);
    assert!(gguf.bool("bool").unwrap());
    assert_eq!(gguf.string("string").unwrap(), "Grüße, 世界");
    assert_eq!(gguf.strings("strings").unwrap(), ["a", ""]);
    assert_eq!(gguf.i32s("i32s").unwrap(), [-70_000, 4]);
    assert!(optional(gguf.u32("nothing")).unwrap().is_none());
    assert!(matches!(gguf.u32("nothing"), Err(GgufError::MissingKey { key }) if key == "nothing"));
    for key in ["i32", "u64", "string", "f32"] {
        assert!(
            matches!(optional(gguf.u32(key)), Err(GgufError::WrongType { .. })),
            "{key}"
        );
    }
    let message = gguf.u32("i32").unwrap_err().to_string();
    assert!(
        message.contains("\"i32\"") && message.contains("the integer -3"),
        "{message}"
    );
    let message = gguf.string("strings").unwrap_err().to_string();
    assert!(message.contains("an array of 2 strings"), "{message}");
}

#[test]
fn tensors_are_where_the_file_says() {
    let bytes = every_type().bytes();
    let gguf = parse(&bytes).unwrap();
    let matrix = gguf.tensor("matrix").unwrap();
    assert_eq!(
        (
            matrix.row_elements(),
            matrix.rows(),
            matrix.elements(),
            matrix.bytes
        ),
        (32, 3, 96, 60)
    );
    let at =
        |tensor: &TensorInfo| bytes[tensor.offset as usize..][..tensor.bytes as usize].to_vec();
    assert_eq!(at(matrix), (0..60).collect::<Vec<u8>>());
    assert_eq!(at(gguf.tensor("vector").unwrap()), [7; 12]);
    assert_eq!(at(gguf.tensor("half").unwrap()), [8; 8]);
    assert!(
        matches!(gguf.tensor("other"), Err(GgufError::MissingTensor { tensor }) if tensor == "other")
    );
}

#[test]
fn a_file_is_read_by_position() {
    let path = std::env::temp_dir().join(format!("tidegate-gguf-{}.gguf", std::process::id()));
    std::fs::write(&path, every_type().bytes()).unwrap();
    let file = GgufFile::open(&path).unwrap();
    let vector = file.header().tensor("vector").unwrap();
    let matrix = file.header().tensor("matrix").unwrap();
    assert_eq!(file.read_tensor(vector).unwrap(), [7; 12]);
    let mut part = [0; 3];
    file.read_tensor_at(matrix, 57, &mut part).unwrap();
    assert_eq!(part, [57, 58, 59]);
    assert_eq!(file.read_tensor_f32(matrix).unwrap().len(), 96);

    std::fs::write(&path, &every_type().bytes()[..400]).unwrap();
    let error = file.read_tensor(vector).unwrap_err();
    assert!(
        matches!(&error, GgufError::Read { what, bytes: 12, .. } if what.contains("vector")),
        "{error}"
    );
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(GgufFile::open(&path), Err(GgufError::Open { .. })));
    assert!(matches!(
        GgufFile::open(std::env::temp_dir()),
        Err(GgufError::Open { .. })
    ));
}

#[test]
fn what_is_not_gguf_is_refused() {
    assert!(matches!(parse(b""), Err(GgufError::NotGguf { found }) if found.is_empty()));
    assert!(matches!(parse(b"GG"), Err(GgufError::NotGguf { .. })));
    assert!(matches!(
        parse(b"PK\x03\x04 a zip archive"),
        Err(GgufError::NotGguf { .. })
    ));
    assert!(matches!(
        parse(b"GGUF\0\0\0\x03"),
        Err(GgufError::BigEndian)
    ));
    assert!(matches!(
        parse(b"GGUF\x01\0\0\0"),
        Err(GgufError::UnsupportedVersion { found: 1 })
    ));
    assert!(matches!(
        parse(b"GGUF\x04\0\0\0"),
        Err(GgufError::UnsupportedVersion { found: 4 })
    ));
}

#[test]
fn counts_and_lengths_are_compared_with_the_file_first() {
    let with_count = |at: usize, count: u64| {
        let mut bytes = every_type().bytes();
        bytes[at..at + 8].copy_from_slice(&count.to_le_bytes());
        parse(&bytes).unwrap_err()
    };
    for count in [1 << 20, u64::MAX] {
        assert!(
            matches!(with_count(8, count), GgufError::Truncated { what, .. } if what.contains("tensor count"))
        );
        assert!(
            matches!(with_count(16, count), GgufError::Truncated { what, .. } if what.contains("metadata count"))
        );
        assert!(
            matches!(with_count(24, count), GgufError::Truncated { what, .. } if what.contains("metadata key"))
        );
    }
    // The same, where the file is said to be long enough: nothing may be allocated for what a header cannot be.
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend(0u64.to_le_bytes());
    bytes.extend(1u64.to_le_bytes());
    bytes.extend((1u64 << 50).to_le_bytes());
    assert!(matches!(
        Gguf::parse(&bytes[..], 1 << 60),
        Err(GgufError::HeaderTooLarge { .. })
    ));
}

#[test]
fn corrupt_metadata_is_refused() {
    let one = |value| GgufWriter::default().add("key", value).bytes();
    let mut bytes = one(Value::Bool(true));
    let last = bytes.len() - 1;
    bytes[last] = 2;
    assert!(matches!(
        parse(&bytes),
        Err(GgufError::BadBool { found: 2, .. })
    ));
    let mut bytes = one(Value::String("é".to_owned()));
    bytes.pop();
    bytes.push(b'x');
    assert!(matches!(parse(&bytes), Err(GgufError::NotUtf8 { .. })));
    let mut bytes = one(Value::U8(0));
    let ty = bytes.len() - 5;
    bytes[ty] = 13;
    assert!(matches!(
        parse(&bytes),
        Err(GgufError::UnknownValueType { found: 13, .. })
    ));
    let mut deep = Array::U8(vec![1]);
    for depth in 1..=ARRAY_DEPTH_MAX {
        let result = parse(&one(Value::Array(deep.clone())));
        assert!(result.is_ok(), "depth {depth}: {result:?}");
        deep = Array::Array(vec![deep]);
    }
    assert!(matches!(
        parse(&one(Value::Array(deep))),
        Err(GgufError::ArrayTooDeep { .. })
    ));
    let bytes = GgufWriter::default()
        .add("key", Value::U8(0))
        .add("key", Value::U8(1))
        .bytes();
    assert!(matches!(parse(&bytes), Err(GgufError::DuplicateKey { key }) if key == "key"));
}

#[test]
fn alignment_is_checked_and_used() {
    let with = |value| {
        parse(
            &GgufWriter::default()
                .add("general.alignment", value)
                .bytes(),
        )
    };
    for bad in [0, 3, 48, 1 << 21] {
        assert!(
            matches!(with(Value::U32(bad)), Err(GgufError::BadAlignment { .. })),
            "{bad}"
        );
    }
    assert!(matches!(
        with(Value::I32(-32)),
        Err(GgufError::WrongType { .. })
    ));
    assert!(matches!(
        with(Value::String("32".into())),
        Err(GgufError::WrongType { .. })
    ));
    assert!(matches!(
        with(Value::U64(u64::MAX)),
        Err(GgufError::BadAlignment { .. })
    ));
    let mut writer = every_type();
    writer.alignment = 256;
    let bytes = writer.add("general.alignment", Value::U32(256)).bytes();
    let gguf = parse(&bytes).unwrap();
    let vector = gguf.tensor("vector").unwrap();
    assert_eq!(gguf.alignment(), 256);
    assert_eq!(vector.offset % 256, 0);
    assert_eq!(bytes[vector.offset as usize..][..12], [7; 12]);
}

#[test]
fn corrupt_tensors_are_refused() {
    let one = |dims: &[u64], ty: u32, offset: Option<u64>| {
        let mut writer = GgufWriter::default();
        parse(
            &writer
                .raw_tensor("t", dims, ty, vec![0; 64], offset)
                .bytes(),
        )
    };
    assert!(one(&[16], 0, None).is_ok());
    assert!(matches!(
        one(&[], 0, None),
        Err(GgufError::BadRank { found: 0, .. })
    ));
    assert!(matches!(
        one(&[1; 5], 0, None),
        Err(GgufError::BadRank { found: 5, .. })
    ));
    assert!(matches!(
        one(&[0, 4], 0, None),
        Err(GgufError::BadShape { .. })
    ));
    assert!(matches!(
        one(&[33], 3, None),
        Err(GgufError::BadShape { .. })
    ));
    assert!(matches!(
        one(&[1 << 32, 1 << 32], 0, None),
        Err(GgufError::BadShape { .. })
    ));
    assert!(matches!(
        one(&[1 << 62], 0, None),
        Err(GgufError::BadShape { .. })
    ));
    assert!(matches!(
        one(&[17], 0, None),
        Err(GgufError::TensorOutside {
            bytes: 68,
            data_bytes: 64,
            ..
        })
    ));
    assert!(matches!(
        one(&[16], 0, Some(32)),
        Err(GgufError::TensorOutside { .. })
    ));
    assert!(matches!(
        one(&[16], 0, Some(u64::MAX - 31)),
        Err(GgufError::TensorOutside { .. })
    ));
    assert!(matches!(
        one(&[8], 0, Some(8)),
        Err(GgufError::Misaligned {
            offset: 8,
            alignment: 32,
            ..
        })
    ));
    let error = one(&[256], 10, None).unwrap_err();
    assert!(
        matches!(&error, GgufError::UnsupportedTensorType { tensor, type_name } if tensor == "t" && type_name == "Q2_K"),
        "{error}"
    );
}

#[test]
fn super_blocks_are_whole_and_inside() {
    for ty in [TensorType::Q4K, TensorType::Q5K, TensorType::Q6K] {
        let bytes = ty.block_bytes();
        let of = |dims: &[u64], bytes: u64| {
            let mut writer = GgufWriter::default();
            let data = vec![0; bytes as usize];
            parse(&writer.tensor("t", dims, ty, data).bytes())
        };
        assert_eq!(
            of(&[256, 3], 3 * bytes).unwrap().tensors()[0].bytes,
            3 * bytes
        );
        for columns in [32, 128, 255, 384] {
            assert!(
                matches!(of(&[columns, 2], 2 * bytes), Err(GgufError::BadShape { tensor, type_name, .. })
                    if tensor == "t" && type_name == ty.name())
            );
        }
        assert!(
            matches!(of(&[256, 3], 3 * bytes - 1), Err(GgufError::TensorOutside { tensor, bytes: found, .. })
                if tensor == "t" && found == 3 * bytes)
        );
        assert!(matches!(
            of(&[1 << 32, 1 << 32], 0),
            Err(GgufError::BadShape { .. })
        ));
    }
}

#[test]
fn overlapping_and_repeated_tensors_are_refused() {
    let mut writer = GgufWriter::default();
    writer
        .tensor("a", &[16], TensorType::F32, vec![0; 64])
        .raw_tensor("b", &[16], 0, vec![0; 64], Some(32));
    assert!(
        matches!(parse(&writer.bytes()), Err(GgufError::TensorsOverlap { first, second }) if first == "a" && second == "b")
    );
    let mut writer = GgufWriter::default();
    writer
        .tensor("a", &[1], TensorType::F32, vec![0; 4])
        .tensor("a", &[1], TensorType::F32, vec![0; 4]);
    assert!(
        matches!(parse(&writer.bytes()), Err(GgufError::DuplicateTensor { tensor }) if tensor == "a")
    );
}

#[test]
fn every_truncation_is_an_error() {
    for bytes in [every_type().bytes(), TINY.clone()] {
        for end in 0..bytes.len() {
            assert!(parse(&bytes[..end]).is_err(), "{end} of {}", bytes.len());
        }
        // The file shrank between asking for its length and reading it.
        for end in 0..800.min(bytes.len()) {
            let error = Gguf::parse(&bytes[..end], bytes.len() as u64).unwrap_err();
            assert!(matches!(error, GgufError::Read { .. }), "{end}: {error}");
        }
    }
}

/// Whatever parses must also be safe to use.
fn exercise(bytes: &[u8]) {
    let Ok(gguf) = parse(bytes) else { return };
    for tensor in gguf.tensors() {
        let data = &bytes[tensor.offset as usize..][..tensor.bytes as usize];
        assert_eq!(dequantise(tensor.ty, data).len() as u64, tensor.elements());
    }
    let _config = Config::from_gguf(&gguf);
    if let Ok(tokenizer) = Tokenizer::from_gguf(&gguf) {
        let ids = tokenizer
            .encode("ab<|im_end|> 12", ControlText::Token)
            .unwrap_or_default();
        assert!(ids.iter().all(|&id| id < tokenizer.vocabulary()));
        tokenizer.decode(&ids);
    }
    if let Ok(template) = ChatTemplate::from_gguf(&gguf) {
        let _text = template.render(&[Message::user("ab")], true);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = every_type().bytes();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        exercise(&bytes);
    }

    #[test]
    fn a_model_with_a_damaged_header_never_panics(
        flips in prop::collection::vec((0usize..12_000, any::<u8>()), 1..4),
    ) {
        let mut bytes = TINY.clone();
        for (at, byte) in flips {
            bytes[at] = byte;
        }
        exercise(&bytes);
    }

    #[test]
    fn hostile_numbers_never_panic(
        at in any::<prop::sample::Index>(),
        number in prop_oneof![any::<u64>(), Just(u64::MAX), Just(1 << 63), (0u64..64).prop_map(|shift| 1 << shift)],
    ) {
        let mut bytes = every_type().bytes();
        let at = at.index(bytes.len() - 8);
        bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        exercise(&bytes);
    }

    #[test]
    fn noise_after_the_magic_never_panics(noise in prop::collection::vec(any::<u8>(), 0..256)) {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(noise);
        exercise(&bytes);
    }
}

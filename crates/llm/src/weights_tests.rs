use tidegate::{Device, Options};

use super::*;
use crate::testing::random::Random;
use crate::testing::{GgufWriter, TinyModel};

/// Everything that loading made of the gate and up projections.
fn loaded(device: &Device, file: &GgufFile, piece_bytes: u64) -> (Vec<u32>, Vec<u32>, u64) {
    let mut stream = device.stream().unwrap();
    let names = ["blk.0.ffn_gate.weight", "blk.0.ffn_up.weight"];
    let tensors = names.map(|it| file.header().tensor(it).unwrap());
    let mut bytes = 0;
    let mut progress = |piece| bytes += piece;
    let matrix = Matrix::load(
        &mut stream,
        file,
        &tensors,
        Role::GateUp,
        piece_bytes,
        &mut progress,
    );
    let matrix = matrix.unwrap();
    let piece = matrix.whole().unwrap();
    let mut words = |buffer: &Buffer<u32>| stream.download(buffer).unwrap().wait().unwrap();
    let quants = words(&piece.quants);
    let scales = piece.scales.as_ref().map(words).unwrap_or_default();
    (quants, scales, bytes)
}

fn device() -> Device {
    let mut options = Options::default();
    options.validation = true;
    Device::open(&options).expect("run `cargo xtask test`, which installs it")
}

#[test]
fn a_matrix_is_cut_where_a_binding_ends() {
    let cut = |format, outputs, rows_each, bytes_max| -> Vec<(u32, u32)> {
        pieces(format, outputs, 64, rows_each, bytes_max).collect()
    };
    // A row has two blocks of 16 bytes.
    let q4 = Packing::Q4.into();
    assert_eq!(cut(q4, 200, 1, 200 * 32), [(0, 200)]);
    assert_eq!(cut(q4, 200, 1, 199 * 32), [(0, 192), (192, 8)]);
    assert_eq!(
        cut(q4, 200, 2, 199 * 32),
        [(0, 64), (64, 64), (128, 64), (192, 8)]
    );
    assert_eq!(cut(q4, 3, 1, 1), [(0, 1), (1, 1), (2, 1)]);
    let mixed = Format {
        rest: Some((Packing::F32, 100)),
        ..q4
    };
    assert_eq!(cut(mixed, 200, 1, 1), [(0, 200)]);
}

#[test]
fn the_size_of_the_pieces_does_not_show() {
    let device = device();
    let path = std::env::temp_dir().join(format!("tidegate-pieces-{}", std::process::id()));
    for ty in [
        TensorType::F32,
        TensorType::F16,
        TensorType::Bf16,
        TensorType::Q4_0,
        TensorType::Q4_1,
        TensorType::Q8_0,
        TensorType::Q4K,
        TensorType::Q5K,
        TensorType::Q6K,
    ] {
        let tiny = TinyModel {
            ty,
            // Rows of whole super-blocks.
            head_elements: 64,
            feed_forward: 256,
            ..TinyModel::default()
        };
        std::fs::write(&path, tiny.bytes()).unwrap();
        let file = GgufFile::open(&path).unwrap();
        let whole = loaded(&device, &file, PIECE_BYTES);
        assert_eq!(whole.0.len(), 512 * 8 * Packing::of(ty).block_words());
        // One row; some rows, which do not divide the 256; and nearly all.
        for piece_bytes in [1, 3500, 250 * ty.block_bytes() * 256 / ty.block_elements()] {
            assert_eq!(loaded(&device, &file, piece_bytes), whole, "{ty:?}");
        }
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(device.validation_messages(), Vec::<String>::new());
}

const QUANTISED: [TensorType; 6] = [
    TensorType::Q4_0,
    TensorType::Q4_1,
    TensorType::Q8_0,
    TensorType::Q4K,
    TensorType::Q5K,
    TensorType::Q6K,
];
const ROWS: u64 = 24;
const COLUMNS: u64 = 512;

/// Loads a matrix of tensors of these types, and lets the device decode each row: what it should be, and is.
fn decoded(device: &Device, types: &[TensorType], seed: u64) -> (Format, Vec<f32>, Vec<f32>) {
    let mut random = Random(seed);
    let mut writer = GgufWriter::default();
    let mut expected = Vec::new();
    for (index, ty) in types.iter().enumerate() {
        let data = match ty {
            TensorType::F32 => random.matrix(*ty, [COLUMNS, ROWS]),
            _ => random.extreme_blocks(*ty, (ROWS * COLUMNS / ty.block_elements()) as usize),
        };
        expected.extend(dequantise(*ty, &data));
        writer.tensor(&index.to_string(), &[COLUMNS, ROWS], *ty, data);
    }
    let name = format!("tidegate-decoded-{}-{seed}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, writer.bytes()).unwrap();
    let file = GgufFile::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let tensors: Vec<&TensorInfo> = file.header().tensors().iter().collect();
    let mut stream = device.stream().unwrap();
    let (role, mut progress) = (Role::Head, |_| {});
    let matrix = Matrix::load(
        &mut stream,
        &file,
        &tensors,
        role,
        PIECE_BYTES,
        &mut progress,
    );
    let matrix = matrix.unwrap();
    let source = crate::kernels::embed_source(matrix.format);
    let kernel = device.module_from_wgsl(&source).unwrap();
    let kernel = kernel.kernel("embed").unwrap();
    let rows = matrix.rows;
    let tokens = stream.upload_new(&(0..rows).collect::<Vec<u32>>()).unwrap();
    let out: Buffer<f32> = device.buffer(expected.len()).unwrap();
    let (piece, blocks) = (matrix.whole().unwrap(), matrix.blocks());
    let arguments = (piece, &tokens, &out, blocks, 0u32, rows, 0u32, rows);
    stream
        .launch(&kernel, [blocks.div_ceil(64), rows], arguments)
        .unwrap();
    let found = stream.download(&out).unwrap().wait().unwrap();
    (matrix.format, expected, found)
}

#[track_caller]
fn assert_exact(expected: &[f32], found: &[f32], types: &[TensorType]) {
    assert_eq!(expected.len(), found.len());
    for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
        assert!(expected.is_finite());
        assert_eq!(expected, found, "element {index} of {types:?}");
    }
}

#[test]
fn the_device_decodes_every_block_exactly() {
    let device = device();
    for ty in QUANTISED {
        for seed in 0..3 {
            let (format, expected, found) = decoded(&device, &[ty, ty], seed);
            assert_eq!(format, Packing::of(ty).into());
            assert_exact(&expected, &found, &[ty, ty]);
        }
    }
    assert_eq!(device.validation_messages(), Vec::<String>::new());
}

#[test]
fn a_matrix_of_two_types_has_two_packings() {
    let device = device();
    for (seed, ty) in (0..).zip(QUANTISED.into_iter().chain([TensorType::F32])) {
        for types in [[ty, ty, TensorType::Q6K], [TensorType::Q5K, ty, ty]] {
            let (format, expected, found) = decoded(&device, &types, seed);
            assert_eq!(format.rest.is_some(), types[0] != types[2], "{types:?}");
            assert_exact(&expected, &found, &types);
        }
    }
    // One more change, and all is single precision.
    for last in [TensorType::Q4K, TensorType::Q4_1] {
        let types = [TensorType::Q4K, TensorType::Q5K, last];
        let (format, expected, found) = decoded(&device, &types, 1);
        assert_eq!(format, Packing::F32.into());
        assert_exact(&expected, &found, &types);
    }
    assert_eq!(device.validation_messages(), Vec::<String>::new());
}

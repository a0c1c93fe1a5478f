//! Reads the header. Every length is compared with what is left of the file before anything is allocated for it.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use super::{
    ALIGNMENT_MAX, ARRAY_DEPTH_MAX, Array, Gguf, GgufError, HEADER_BYTES_MAX, MAGIC, RANK_MAX,
    TensorInfo, Value,
};
use crate::quant::{TensorType, name_of_id};

/// A key's length, one byte of key, a type and a value of one byte.
const METADATA_BYTES_MIN: u64 = 8 + 1 + 4 + 1;
/// A name's length, a rank, one dimension, a type and an offset.
const TENSOR_BYTES_MIN: u64 = 8 + 4 + 8 + 4 + 8;
/// Room for this many items is made at once; more grow as they are really read.
const RESERVE_MAX: u64 = 4096;

const TYPE_STRING: u32 = 8;
const TYPE_ARRAY: u32 = 9;

pub(super) fn header(source: impl Read, file_bytes: u64) -> Result<Gguf, GgufError> {
    let mut cursor = Cursor {
        source,
        position: 0,
        file_bytes,
    };
    let version = preamble(&mut cursor)?;
    let tensor_count = cursor.count("the tensor count", TENSOR_BYTES_MIN)?;
    let metadata_count = cursor.count("the metadata count", METADATA_BYTES_MIN)?;

    let mut metadata = BTreeMap::new();
    for _ in 0..metadata_count {
        let key = cursor.string("a metadata key")?;
        let ty = cursor.u32("a metadata value's type")?;
        let value = cursor.value(&key, ty)?;
        if metadata.contains_key(&key) {
            return Err(GgufError::DuplicateKey { key });
        }
        metadata.insert(key, value);
    }
    let alignment = alignment(&metadata)?;

    let mut tensors = Vec::with_capacity(tensor_count.min(RESERVE_MAX) as usize);
    let mut by_name = HashMap::with_capacity(tensors.capacity());
    for index in 0..tensor_count as usize {
        let tensor = cursor.tensor()?;
        if by_name.insert(tensor.name.clone(), index).is_some() {
            return Err(GgufError::DuplicateTensor {
                tensor: tensor.name,
            });
        }
        tensors.push(tensor);
    }
    // No overflow: the position is at most HEADER_BYTES_MAX.
    let data_start = cursor.position.next_multiple_of(alignment);
    place(&mut tensors, data_start, file_bytes, alignment)?;
    Ok(Gguf {
        version,
        alignment,
        metadata,
        tensors,
        by_name,
    })
}

fn preamble(cursor: &mut Cursor<impl Read>) -> Result<u32, GgufError> {
    let magic = cursor.bytes(cursor.file_bytes.min(4), "the magic number")?;
    if magic != MAGIC {
        return Err(GgufError::NotGguf { found: magic });
    }
    match cursor.u32("the version")? {
        version @ (2 | 3) => Ok(version),
        swapped if matches!(swapped.swap_bytes(), 1..=3) => Err(GgufError::BigEndian),
        found => Err(GgufError::UnsupportedVersion { found }),
    }
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<u64, GgufError> {
    const KEY: &str = "general.alignment";
    let Some(value) = metadata.get(KEY) else {
        return Ok(32);
    };
    let wrong_type = || GgufError::WrongType {
        key: KEY.to_owned(),
        expected: "a positive integer",
        found: value.summary(),
    };
    let found = u64::try_from(value.integer().ok_or_else(wrong_type)?).map_err(|_| wrong_type())?;
    if found.is_power_of_two() && found <= ALIGNMENT_MAX {
        Ok(found)
    } else {
        Err(GgufError::BadAlignment {
            found,
            max: ALIGNMENT_MAX,
        })
    }
}

/// Turns offsets from the beginning of the data into offsets from the beginning of the file, and checks them.
fn place(
    tensors: &mut [TensorInfo],
    data_start: u64,
    file_bytes: u64,
    alignment: u64,
) -> Result<(), GgufError> {
    let data_bytes = file_bytes.saturating_sub(data_start);
    for tensor in tensors.iter_mut() {
        let offset = tensor.offset;
        if !offset.is_multiple_of(alignment) {
            return Err(GgufError::Misaligned {
                tensor: tensor.name.clone(),
                offset,
                alignment,
            });
        }
        if offset
            .checked_add(tensor.bytes)
            .is_none_or(|end| end > data_bytes)
        {
            return Err(GgufError::TensorOutside {
                tensor: tensor.name.clone(),
                offset,
                bytes: tensor.bytes,
                data_bytes,
            });
        }
        tensor.offset = data_start + offset;
    }
    let mut in_order: Vec<&TensorInfo> = tensors.iter().collect();
    in_order.sort_unstable_by_key(|tensor| tensor.offset);
    for pair in in_order.windows(2) {
        if pair[0].offset + pair[0].bytes > pair[1].offset {
            return Err(GgufError::TensorsOverlap {
                first: pair[0].name.clone(),
                second: pair[1].name.clone(),
            });
        }
    }
    Ok(())
}

struct Cursor<R> {
    source: R,
    position: u64,
    file_bytes: u64,
}

impl<R: Read> Cursor<R> {
    /// Fails unless `needed` more bytes can be part of the header.
    fn expect(&self, needed: u64, what: &str) -> Result<(), GgufError> {
        let (offset, left) = (self.position, self.file_bytes - self.position);
        if needed > left {
            return Err(GgufError::Truncated {
                what: what.to_owned(),
                offset,
                needed,
                left,
            });
        }
        if needed > HEADER_BYTES_MAX.saturating_sub(offset) {
            return Err(GgufError::HeaderTooLarge {
                what: what.to_owned(),
                offset,
                needed,
                max: HEADER_BYTES_MAX,
            });
        }
        Ok(())
    }

    fn fill(&mut self, out: &mut [u8], what: &str) -> Result<(), GgufError> {
        let bytes = out.len() as u64;
        self.source
            .read_exact(out)
            .map_err(|source| GgufError::Read {
                what: what.to_owned(),
                offset: self.position,
                bytes,
                source,
            })?;
        self.position += bytes;
        Ok(())
    }

    fn bytes(&mut self, count: u64, what: &str) -> Result<Vec<u8>, GgufError> {
        self.expect(count, what)?;
        let mut out = vec![0; count as usize];
        self.fill(&mut out, what)?;
        Ok(out)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], GgufError> {
        self.expect(N as u64, what)?;
        let mut out = [0; N];
        self.fill(&mut out, what)?;
        Ok(out)
    }

    fn u32(&mut self, what: &str) -> Result<u32, GgufError> {
        self.array(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &str) -> Result<u64, GgufError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A count of things that take `item_bytes_min` each, all of them still to come.
    fn count(&mut self, what: &str, item_bytes_min: u64) -> Result<u64, GgufError> {
        let count = self.u64(what)?;
        self.expect(count.saturating_mul(item_bytes_min), what)?;
        Ok(count)
    }

    fn string(&mut self, what: &str) -> Result<String, GgufError> {
        let count = self.u64(what)?;
        let offset = self.position;
        String::from_utf8(self.bytes(count, what)?).map_err(|_| GgufError::NotUtf8 {
            what: what.to_owned(),
            offset,
        })
    }

    fn value(&mut self, key: &str, ty: u32) -> Result<Value, GgufError> {
        let what = "a metadata value";
        Ok(match ty {
            0 => Value::U8(self.array::<1>(what)?[0]),
            1 => Value::I8(i8::from_le_bytes(self.array(what)?)),
            2 => Value::U16(u16::from_le_bytes(self.array(what)?)),
            3 => Value::I16(i16::from_le_bytes(self.array(what)?)),
            4 => Value::U32(self.u32(what)?),
            5 => Value::I32(i32::from_le_bytes(self.array(what)?)),
            6 => Value::F32(f32::from_le_bytes(self.array(what)?)),
            7 => Value::Bool(flag(key, self.array::<1>(what)?[0])?),
            TYPE_STRING => Value::String(self.string(what)?),
            TYPE_ARRAY => Value::Array(self.items(key, 1)?),
            10 => Value::U64(self.u64(what)?),
            11 => Value::I64(i64::from_le_bytes(self.array(what)?)),
            12 => Value::F64(f64::from_le_bytes(self.array(what)?)),
            found => {
                return Err(GgufError::UnknownValueType {
                    key: key.to_owned(),
                    found,
                });
            }
        })
    }

    fn items(&mut self, key: &str, depth: u32) -> Result<Array, GgufError> {
        if depth > ARRAY_DEPTH_MAX {
            return Err(GgufError::ArrayTooDeep {
                key: key.to_owned(),
                max: ARRAY_DEPTH_MAX,
            });
        }
        let ty = self.u32("an array's type")?;
        Ok(match ty {
            0 => Array::U8(self.numbers(u8::from_le_bytes)?),
            1 => Array::I8(self.numbers(i8::from_le_bytes)?),
            2 => Array::U16(self.numbers(u16::from_le_bytes)?),
            3 => Array::I16(self.numbers(i16::from_le_bytes)?),
            4 => Array::U32(self.numbers(u32::from_le_bytes)?),
            5 => Array::I32(self.numbers(i32::from_le_bytes)?),
            6 => Array::F32(self.numbers(f32::from_le_bytes)?),
            7 => {
                let flags: Vec<u8> = self.numbers(u8::from_le_bytes)?;
                Array::Bool(
                    flags
                        .into_iter()
                        .map(|byte| flag(key, byte))
                        .collect::<Result<_, _>>()?,
                )
            }
            TYPE_STRING => {
                let count = self.count("an array of strings", 8)?;
                let mut texts = Vec::with_capacity(count.min(RESERVE_MAX) as usize);
                for _ in 0..count {
                    texts.push(self.string("a string in an array")?);
                }
                Array::String(texts)
            }
            TYPE_ARRAY => {
                let count = self.count("an array of arrays", 4 + 8)?;
                let mut arrays = Vec::with_capacity(count.min(RESERVE_MAX) as usize);
                for _ in 0..count {
                    arrays.push(self.items(key, depth + 1)?);
                }
                Array::Array(arrays)
            }
            10 => Array::U64(self.numbers(u64::from_le_bytes)?),
            11 => Array::I64(self.numbers(i64::from_le_bytes)?),
            12 => Array::F64(self.numbers(f64::from_le_bytes)?),
            found => {
                return Err(GgufError::UnknownValueType {
                    key: key.to_owned(),
                    found,
                });
            }
        })
    }

    fn numbers<T, const N: usize>(
        &mut self,
        convert: fn([u8; N]) -> T,
    ) -> Result<Vec<T>, GgufError> {
        let what = "an array";
        let count = self.count(what, N as u64)?;
        let data = self.bytes(count * N as u64, what)?;
        Ok(data
            .as_chunks::<N>()
            .0
            .iter()
            .map(|&item| convert(item))
            .collect())
    }

    /// A tensor's entry. Its offset is still from the beginning of the data.
    fn tensor(&mut self) -> Result<TensorInfo, GgufError> {
        let name = self.string("a tensor's name")?;
        let rank = self.u32("a tensor's rank")?;
        if !(1..=RANK_MAX).contains(&rank) {
            return Err(GgufError::BadRank {
                tensor: name,
                found: rank,
                max: RANK_MAX,
            });
        }
        let dims = (0..rank)
            .map(|_| self.u64("a tensor's dimension"))
            .collect::<Result<Vec<_>, _>>()?;
        let id = self.u32("a tensor's type")?;
        let Some(ty) = TensorType::from_id(id) else {
            return Err(GgufError::UnsupportedTensorType {
                tensor: name,
                type_name: name_of_id(id),
            });
        };
        let offset = self.u64("a tensor's offset")?;
        match data_bytes(&dims, ty) {
            Ok(bytes) => Ok(TensorInfo {
                name,
                dims,
                ty,
                offset,
                bytes,
            }),
            Err(reason) => Err(GgufError::BadShape {
                tensor: name,
                type_name: ty.name(),
                dims,
                reason,
            }),
        }
    }
}

fn flag(key: &str, byte: u8) -> Result<bool, GgufError> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        found => Err(GgufError::BadBool {
            key: key.to_owned(),
            found,
        }),
    }
}

fn data_bytes(dims: &[u64], ty: TensorType) -> Result<u64, &'static str> {
    if dims.contains(&0) {
        return Err("a dimension is 0");
    }
    if !dims[0].is_multiple_of(ty.block_elements()) {
        return Err("a row is not a whole number of blocks");
    }
    let elements = dims
        .iter()
        .try_fold(1u64, |product, &dim| product.checked_mul(dim));
    elements
        .and_then(|elements| (elements / ty.block_elements()).checked_mul(ty.block_bytes()))
        .ok_or("its size overflows 64 bits")
}

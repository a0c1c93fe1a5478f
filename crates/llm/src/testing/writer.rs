use crate::gguf::{Array, MAGIC, Value};
use crate::quant::TensorType;

/// Builds a GGUF file in memory. It writes what it is told, wrong things too: that is what tests need.
#[derive(Clone, Debug)]
pub struct GgufWriter {
    /// The version written.
    pub version: u32,
    /// What tensor data is aligned to; say it in the metadata too if it is not 32.
    pub alignment: u64,
    metadata: Vec<(String, Value)>,
    tensors: Vec<Tensor>,
}

#[derive(Clone, Debug)]
struct Tensor {
    name: String,
    dims: Vec<u64>,
    type_id: u32,
    data: Vec<u8>,
    offset: Option<u64>,
}

impl Default for GgufWriter {
    fn default() -> Self {
        Self {
            version: 3,
            alignment: 32,
            metadata: Vec::new(),
            tensors: Vec::new(),
        }
    }
}

impl GgufWriter {
    /// Adds a value to the metadata, also where the key is already there.
    pub fn add(&mut self, key: &str, value: Value) -> &mut Self {
        self.metadata.push((key.to_owned(), value));
        self
    }

    /// Replaces a value in the metadata, or adds it.
    pub fn set(&mut self, key: &str, value: Value) -> &mut Self {
        self.remove(key);
        self.add(key, value)
    }

    /// Removes a key from the metadata.
    pub fn remove(&mut self, key: &str) -> &mut Self {
        self.metadata.retain(|(found, _)| found != key);
        self
    }

    /// Adds a tensor.
    pub fn tensor(&mut self, name: &str, dims: &[u64], ty: TensorType, data: Vec<u8>) -> &mut Self {
        self.raw_tensor(name, dims, ty.id(), data, None)
    }

    /// Adds a tensor of any type, whose entry says that it is at `offset` where that is given.
    pub fn raw_tensor(
        &mut self,
        name: &str,
        dims: &[u64],
        type_id: u32,
        data: Vec<u8>,
        offset: Option<u64>,
    ) -> &mut Self {
        self.tensors.push(Tensor {
            name: name.to_owned(),
            dims: dims.to_vec(),
            type_id,
            data,
            offset,
        });
        self
    }

    /// Removes a tensor.
    pub fn remove_tensor(&mut self, name: &str) -> &mut Self {
        self.tensors.retain(|tensor| tensor.name != name);
        self
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            string(&mut out, key);
            write_value(&mut out, value);
        }
        let mut offset = 0u64;
        for tensor in &self.tensors {
            string(&mut out, &tensor.name);
            out.extend((tensor.dims.len() as u32).to_le_bytes());
            out.extend(tensor.dims.iter().flat_map(|dim| dim.to_le_bytes()));
            out.extend(tensor.type_id.to_le_bytes());
            out.extend(tensor.offset.unwrap_or(offset).to_le_bytes());
            offset = (offset + tensor.data.len() as u64).next_multiple_of(self.alignment);
        }
        for tensor in &self.tensors {
            out.resize(out.len().next_multiple_of(self.alignment as usize), 0);
            out.extend(&tensor.data);
        }
        out
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn write_value(out: &mut Vec<u8>, value: &Value) {
    let mut number = |ty: u32, bytes: &[u8]| {
        out.extend(ty.to_le_bytes());
        out.extend(bytes);
    };
    match value {
        Value::U8(v) => number(0, &v.to_le_bytes()),
        Value::I8(v) => number(1, &v.to_le_bytes()),
        Value::U16(v) => number(2, &v.to_le_bytes()),
        Value::I16(v) => number(3, &v.to_le_bytes()),
        Value::U32(v) => number(4, &v.to_le_bytes()),
        Value::I32(v) => number(5, &v.to_le_bytes()),
        Value::F32(v) => number(6, &v.to_le_bytes()),
        Value::Bool(v) => number(7, &[u8::from(*v)]),
        Value::U64(v) => number(10, &v.to_le_bytes()),
        Value::I64(v) => number(11, &v.to_le_bytes()),
        Value::F64(v) => number(12, &v.to_le_bytes()),
        Value::String(text) => {
            number(8, &[]);
            string(out, text);
        }
        Value::Array(array) => {
            number(9, &[]);
            write_array(out, array);
        }
    }
}

fn write_array(out: &mut Vec<u8>, array: &Array) {
    let mut numbers = |ty: u32, bytes: Vec<u8>| {
        out.extend(ty.to_le_bytes());
        out.extend((array.len() as u64).to_le_bytes());
        out.extend(bytes);
    };
    match array {
        Array::U8(items) => numbers(0, items.clone()),
        Array::I8(items) => numbers(1, items.iter().flat_map(|v| v.to_le_bytes()).collect()),
        Array::U16(items) => numbers(2, items.iter().flat_map(|v| v.to_le_bytes()).collect()),
        Array::I16(items) => numbers(3, items.iter().flat_map(|v| v.to_le_bytes()).collect()),
        Array::U32(items) => numbers(4, items.iter().flat_map(|v| v.to_le_bytes()).collect()),
        Array::I32(items) => numbers(5, items.iter().flat_map(|v| v.to_le_bytes()).collect()),
        Array::F32(items) => numbers(6, items.iter().flat_map(|v| v.to_le_bytes()).collect()),
        Array::Bool(items) => numbers(7, items.iter().map(|&v| u8::from(v)).collect()),
        Array::U64(items) => numbers(10, items.iter().flat_map(|v| v.to_le_bytes()).collect()),
        Array::I64(items) => numbers(11, items.iter().flat_map(|v| v.to_le_bytes()).collect()),
        Array::F64(items) => numbers(12, items.iter().flat_map(|v| v.to_le_bytes()).collect()),
        Array::String(items) => {
            numbers(8, Vec::new());
            items.iter().for_each(|text| string(out, text));
        }
        Array::Array(items) => {
            numbers(9, Vec::new());
            items.iter().for_each(|item| write_array(out, item));
        }
    }
}

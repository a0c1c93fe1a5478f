//! The target `metal`, on Metal's classes in software: kernels as TVM's compiler writes them, with arguments as TVM's host code gives them.

use std::sync::Arc;

use tidegate::{Backend, Device, Options, Policy};
use tidegate_softmetal as _;

use crate::addresses::Allocation;
use crate::cards::{Card, lock, runtime};
use crate::error::Result;
use crate::kernel::Description;
use crate::launch::{self, Value};
use crate::module::{Module, Target};
use crate::tensor::DataType;

/// `b = a * s + k` for the first `n` elements. Each number has eight bytes.
const SOURCE: &str = "
#include <metal_stdlib>
using namespace metal;
struct scaled_kernel_args_t {
  long k;
  int n[2];
  float s[2];
};
kernel void scaled_kernel(  device float* a_ptr [[ buffer(0) ]],
  device float* b_ptr [[ buffer(1) ]],
  constant scaled_kernel_args_t& arg [[ buffer(2) ]],
  uint blockIdx [[threadgroup_position_in_grid]],
  uint threadIdx [[thread_position_in_threadgroup]],
  uint blockDim [[threads_per_threadgroup]]
) {
  int i = (((int)blockIdx) * ((int)blockDim)) + ((int)threadIdx);
  if (i < arg.n[0]) {
    b_ptr[i] = ((a_ptr[i] * arg.s[0]) + ((float)arg.k));
  }
}
";

fn module() -> Module {
    let data_type = |code, bits| DataType {
        code,
        bits,
        lanes: 1,
    };
    let handle = data_type(DataType::HANDLE, 64);
    let description = Description {
        name: "scaled_kernel".to_owned(),
        types: vec![
            handle,
            handle,
            data_type(DataType::INT, 64),
            data_type(DataType::INT, 32),
            data_type(DataType::FLOAT, 32),
        ],
        tags: vec!["blockIdx.x".to_owned(), "threadIdx.x".to_owned()],
    };
    let mut module = Module::new(Target::Metal, "metal").unwrap();
    let (name, code) = (description.name.clone(), SOURCE.as_bytes().to_vec());
    module
        .insert(name, description, code, String::new())
        .unwrap();
    // As from a library that was exported.
    Module::load(Target::Metal, &module.save()).unwrap()
}

fn card() -> Arc<Card> {
    let device = Device::open(&Options::default().with_backend(Backend::Metal)).unwrap();
    Card::new(0, device, Policy::Adaptive).unwrap()
}

/// A tensor of 100 numbers, and its address.
fn tensor(card: &Arc<Card>, values: impl Iterator<Item = f32>) -> (u64, Arc<Allocation>) {
    let address = runtime()
        .addresses
        .add(card.allocate(400).unwrap())
        .unwrap();
    let allocation = runtime().addresses.find(address).unwrap().allocation;
    let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
    let line = card.line(0).unwrap();
    let target = allocation.buffer.slice(..bytes.len()).unwrap();
    lock(&line).upload(target, &bytes).unwrap();
    (address, allocation)
}

fn numbers(card: &Card, allocation: &Allocation) -> Vec<f32> {
    let line = card.line(0).unwrap();
    let source = allocation.buffer.slice(..400).unwrap();
    let bytes = lock(&line).download(source).unwrap().wait().unwrap();
    let parts = bytes.chunks_exact(4);
    parts
        .map(|it| f32::from_le_bytes([it[0], it[1], it[2], it[3]]))
        .collect()
}

fn run(module: &Module, arguments: &[Value]) -> Result<()> {
    let kernel = module.kernel("scaled_kernel")?.unwrap();
    launch::launch(&kernel, arguments.len(), |at| arguments[at])
}

#[test]
fn metal_kernels_take_arguments_as_tvm_packs_them() {
    let (card, module) = (card(), module());
    let (a, _first) = tensor(&card, (0..100_u16).map(f32::from));
    // Threads of a block are the launch's to say: each size is compiled for itself.
    for (blocks, threads) in [(2, 64), (4, 32), (1, 100)] {
        let (b, second) = tensor(&card, (0..100).map(|_| -1.0));
        let numbers_given = [Value::Int(3), Value::Int(90), Value::Float(0.5)];
        let [k, n, s] = numbers_given;
        let pointers = [Value::Pointer(a), Value::Pointer(b)];
        let [from, to] = pointers;
        let grid = [Value::Int(blocks), Value::Int(threads)];
        run(&module, &[from, to, k, n, s, grid[0], grid[1]]).unwrap();
        let expected = (0..100_u16).map(|i| {
            if i < 90 {
                f32::from(i) * 0.5 + 3.0
            } else {
                -1.0
            }
        });
        assert_eq!(numbers(&card, &second), expected.collect::<Vec<_>>());
    }
}

#[test]
fn metal_kernels_that_do_not_compile_are_named() {
    let card = card();
    let mut module = module();
    let good = module.kernel("scaled_kernel").unwrap().unwrap();
    let description = Description {
        name: "bad_kernel".to_owned(),
        ..good.source.description.clone()
    };
    let (name, code) = (description.name.clone(), b"kernel void nonsense(".to_vec());
    module
        .insert(name, description, code, String::new())
        .unwrap();
    let bad = module.kernel("bad_kernel").unwrap().unwrap();
    let (a, _first) = tensor(&card, (0..100).map(|_| 1.0));
    let given = [
        Value::Pointer(a),
        Value::Pointer(a),
        Value::Int(0),
        Value::Int(9),
        Value::Float(2.0),
        Value::Int(1),
        Value::Int(32),
    ];
    let told = launch::launch(&bad, given.len(), |at| given[at]).unwrap_err();
    assert!(told.0.contains("bad_kernel"), "{told}");
    run(&module, &given).unwrap();
}

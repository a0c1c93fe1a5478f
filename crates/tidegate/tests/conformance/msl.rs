//! Sources of Metal's own: its language, and compiled libraries.

use tidegate::{Argument, ErrorKind};

use crate::world::{World, interface};

const ADD: &str = "
#include <metal_stdlib>
using namespace metal;
kernel void add(
    device const uint *x [[buffer(0)]],
    device const uint *y [[buffer(1)]],
    device uint *z [[buffer(2)]],
    uint i [[thread_position_in_grid]])
{ z[i] = x[i] + y[i]; }";

pub(crate) fn source_is_taken_as_it_is(world: &World) {
    let (device, mut stream) = world.open();
    // SAFETY: the table is that of a kernel with the same buffers, and each launch has as many threads as elements.
    let module = unsafe { device.module_from_msl(ADD, vec![interface("add")]) };
    let add = module.kernel("add").unwrap();
    let x = stream.upload_new(&[3_u32; 128]).unwrap();
    let y: Vec<u32> = (0..128).collect();
    let y = stream.upload_new(&y).unwrap();
    let z = stream.zeros::<u32>(128).unwrap();
    stream.launch(&add, 2, (&x, &y, &z)).unwrap();
    let want: Vec<u32> = (3..131).collect();
    assert_eq!(world.read(&mut stream, &z), want);
}

/// Metal has 31 slots for buffers, of which two are kept: for scalars, and for the lengths of arrays.
pub(crate) fn a_kernel_may_fill_every_slot_and_no_more(world: &World) {
    let (device, mut stream) = world.open();
    let source = |buffers: u32| {
        let declared = (0..buffers).map(|it| {
            format!("@group(0) @binding({it}) var<storage, read_write> b{it}: array<u32>;\n")
        });
        let added =
            (0..buffers).map(|it| format!("b{it}[i] += arrayLength(&b{it}) + start + {it}u;\n"));
        format!(
            "var<immediate> start: u32;\n{}@compute @workgroup_size(1) fn all(@builtin(local_invocation_index) i: u32) {{\n{}}}",
            declared.collect::<String>(),
            added.collect::<String>()
        )
    };
    let most = device.capabilities().bindings_max;
    assert_eq!(most, 29);
    let module = device.module_from_wgsl(&source(most)).unwrap();
    let all = module.kernel("all").unwrap();
    let buffers: Vec<_> = (1..=most as usize)
        .map(|length| stream.zeros::<u32>(length).unwrap())
        .collect();
    let start = 1000_u32;
    let mut arguments: Vec<&dyn Argument> = buffers.iter().map(|it| it as &dyn Argument).collect();
    arguments.push(&start);
    stream.launch(&all, 1, arguments.as_slice()).unwrap();
    for (at, buffer) in (0..).zip(&buffers) {
        assert_eq!(world.read(&mut stream, buffer)[0], 1000 + 1 + 2 * at);
    }
    for buffers in [most + 1, 32] {
        let module = device.module_from_wgsl(&source(buffers)).unwrap();
        let error = module.kernel("all").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        let text = error.to_string();
        let words = ["all", "the number of buffers", &buffers.to_string(), "29"];
        assert!(words.iter().all(|it| text.contains(it)), "{text}");
    }
}

pub(crate) fn wrong_source_is_refused(world: &World) {
    let device = world.device();
    for (source, word) in [("kernel void add( {", "add"), ("", "add")] {
        // SAFETY: nothing is launched.
        let module = unsafe { device.module_from_msl(source, vec![interface("add")]) };
        let error = module.kernel("add").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

/// A library that loads needs Apple's compiler. What does not load is refused with the kernel's name.
pub(crate) fn a_library_that_is_none_is_refused(world: &World) {
    let device = world.device();
    for library in [&b""[..], b"MTLB", &[0xff; 300]] {
        // SAFETY: nothing is launched.
        let module = unsafe { device.module_from_metallib(library, vec![interface("add")]) };
        assert_eq!(module.kernels(), ["add"]);
        let error = module.kernel("add").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("kernel add"), "{error}");
    }
}

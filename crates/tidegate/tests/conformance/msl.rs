//! Sources of Metal's own: its language, and compiled libraries.

use tidegate::ErrorKind;

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

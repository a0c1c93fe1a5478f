//! A kernel, its buffers, and its result.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use tidegate::{Device, Error};

const SQUARE: &str = "
    @group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> y: array<f32>;

    @compute @workgroup_size(64)
    fn square(@builtin(global_invocation_id) id: vec3<u32>) {
        if id.x < arrayLength(&y) {
            y[id.x] = x[id.x] * x[id.x];
        }
    }";

fn main() -> Result<(), Error> {
    let device = Device::open_default()?;
    println!("{}", device.capabilities().name);
    let square = device.module_from_wgsl(SQUARE)?.kernel("square")?;

    let mut stream = device.stream()?;
    let x = stream.upload_new(&[1.0_f32, 2.0, 3.0, 4.0])?;
    let y = stream.zeros::<f32>(4)?;
    stream.launch(&square, square.grid_for(4), (&x, &y))?;

    // Nothing has been waited for yet; this waits.
    let result = stream.download(&y)?.wait()?;
    println!("{result:?}");
    assert_eq!(result, [1.0, 4.0, 9.0, 16.0]);
    Ok(())
}

//! Two streams, ordered by an event and by the buffers that they share.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use tidegate::{Device, Error, Status};

const ADD: &str = "
    @group(0) @binding(0) var<storage, read_write> x: array<u32>;
    var<immediate> by: u32;

    @compute @workgroup_size(64)
    fn add(@builtin(global_invocation_id) id: vec3<u32>) {
        if id.x < arrayLength(&x) {
            x[id.x] += by;
        }
    }";

fn main() -> Result<(), Error> {
    let device = Device::open_default()?;
    let add = device.module_from_wgsl(ADD)?.kernel("add")?;
    let (mut first, mut second) = (device.stream()?, device.stream()?);
    let x = first.zeros::<u32>(1000)?;

    first.launch(&add, add.grid_for(1000), (&x, 1_u32))?;
    let ready = device.event();
    first.record(&ready)?;
    println!("the first stream is {:?}", first.query()?);

    // Everything that `second` does from here on comes after the event. The same buffer would be ordered without it, too.
    second.wait(&ready)?;
    second.launch(&add, add.grid_for(1000), (&x, 10_u32))?;
    let result = second.download(&x)?;

    ready.synchronize()?;
    assert_eq!(result.wait()?, [11; 1000]);
    second.synchronize()?;
    assert_eq!(second.query()?, Status::Idle);
    Ok(())
}

//! Uploads, fills, copies between buffers, slices, and results that are waited for late.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use tidegate::{Device, Error};

fn main() -> Result<(), Error> {
    let device = Device::open_default()?;
    let mut stream = device.stream()?;

    let table = device.buffer::<u32>(8)?;
    stream.fill(&table, 7)?;
    // The slice has been read when `upload` returns: it can be changed at once.
    let mut row = [1, 2, 3];
    stream.upload(table.slice(..3)?, &row)?;
    row.fill(0);
    let early = stream.download(&table)?;

    // Copies see what was recorded before them, and nothing that comes after.
    let copy = device.buffer::<u32>(4)?;
    stream.copy(table.slice(1..5)?, &copy)?;
    stream.fill(&table, 0)?;
    let late = stream.download(&copy)?;

    assert_eq!(early.wait()?, [1, 2, 3, 7, 7, 7, 7, 7]);
    assert_eq!(late.wait()?, [2, 3, 7, 7]);
    println!("{:#?}", stream.counters());
    Ok(())
}

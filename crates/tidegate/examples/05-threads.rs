//! Streams on several threads, which take turns with one buffer.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::mpsc;
use std::thread;

use tidegate::{Buffer, Device, Error};

const APPEND: &str = "
    @group(0) @binding(0) var<storage, read_write> x: array<u32>;
    var<immediate> digit: u32;

    @compute @workgroup_size(1)
    fn append() {
        x[0] = x[0] * 10u + digit;
    }";

fn main() -> Result<(), Error> {
    let device = Device::open_default()?;
    let append = device.module_from_wgsl(APPEND)?.kernel("append")?;
    let number = device.stream()?.zeros::<u32>(1)?;

    // The buffer goes from thread to thread as soon as work is recorded. Nobody waits: its order is the order of recording.
    let (mut give, mut take) = mpsc::channel();
    give.send(number).ok();
    let mut threads = Vec::new();
    for digit in 1..=5_u32 {
        let (next_give, next_take) = mpsc::channel();
        let received = std::mem::replace(&mut take, next_take);
        give = next_give;
        let (give, append, device) = (give.clone(), append.clone(), device.clone());
        threads.push(thread::spawn(move || -> Result<(), Error> {
            let mut stream = device.stream()?;
            if let Ok(number) = received.recv() {
                stream.launch(&append, 1, (&number, digit))?;
                give.send(number).ok();
            }
            Ok(())
        }));
    }
    for thread in threads {
        thread.join().expect("no thread panics")?;
    }
    let number: Buffer<u32> = take.recv().expect("the last thread has sent it");
    let result = device.stream()?.download(&number)?.wait()?;
    assert_eq!(result, [12345]);
    println!("{}", result[0]);
    Ok(())
}

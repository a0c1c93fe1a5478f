//! What is recorded while the host copies to or from a buffer in place. Histories have one thread, and so never do both at once.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, too, may stop at the first surprise"
)]

mod nosy;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nosy::{Call, Nosy};
use tidegate_core::{Context, Limits, MemoryKind, Policy, Stream};
use tidegate_sim::{Setup, Sim};

/// Copies of more than 64 KiB do not hold the state, so that others record meanwhile.
const BYTES: u64 = 128 << 10;
/// How long a copy takes, so that whoever does not wait for its end is seen.
const COPY: Duration = Duration::from_millis(200);

fn read(stream: &mut Stream<Nosy>, x: &tidegate_core::Memory<Nosy>) -> Vec<u8> {
    let mut bytes = vec![0; x.bytes() as usize];
    let download = stream.download(x, 0, x.bytes()).unwrap();
    download.wait_into(&mut bytes).unwrap();
    bytes
}

/// The host writes, or reads, a buffer on one stream; in the middle of that another thread records a fill of it on `other`: a stream of the same queue or of
/// another one. Each queue in `used` has used the buffer before.
fn race(host: Call, other: usize, used: &[usize]) {
    let words = format!("{host:?}, recorded on stream {other}, used on {used:?}");
    let (begins, begun) = channel();
    let (ends, ended) = channel();
    let is_armed = Arc::new(AtomicBool::new(false));
    let is_recorded = Arc::new(Mutex::new(None));
    let (armed, recorded) = (Arc::clone(&is_armed), Arc::clone(&is_recorded));
    let sim = Sim::with(7, Setup::unified());
    let nosy = Nosy::new(sim.clone(), move |call| {
        if call == host && armed.swap(false, Ordering::AcqRel) {
            begins.send(()).unwrap();
            *recorded.lock().unwrap() = Some(ended.recv_timeout(COPY).is_ok());
        }
    });
    let context = Context::new(nosy, Limits::default());
    let queues = context.capabilities().queues as usize;
    let mut streams: Vec<_> = (0..=queues)
        .map(|_| context.stream(Policy::UntilSync).unwrap())
        .collect();
    let x = Arc::new(context.allocate(BYTES, MemoryKind::Device).unwrap());
    for at in used {
        streams[*at].fill(&x, 0, BYTES, &[9]).unwrap();
        streams[*at].synchronize().unwrap();
    }
    let mut neighbour = streams.remove(other);
    let target = Arc::clone(&x);
    let thread = std::thread::spawn(move || {
        begun.recv().unwrap();
        neighbour.fill(&target, 0, BYTES, &[2]).unwrap();
        ends.send(()).unwrap();
        neighbour.synchronize().unwrap();
        neighbour
    });
    is_armed.store(true, Ordering::Release);
    let stream = &mut streams[0];
    match host {
        Call::Write => stream.upload(&x, 0, &[1; BYTES as usize]).unwrap(),
        _ => assert!(read(stream, &x).iter().all(|it| *it == 9), "{words}"),
    }
    let mut neighbour = thread.join().unwrap();
    assert_eq!(*is_recorded.lock().unwrap(), Some(false), "{words}");
    assert!(
        read(&mut neighbour, &x).iter().all(|it| *it == 2),
        "{words}"
    );
    sim.assert_clean();
}

#[test]
fn nothing_is_recorded_on_memory_that_the_host_copies() {
    let queues = Setup::unified().capabilities.queues as usize;
    // The first stream makes the copy, and the last shares its queue.
    race(Call::Write, queues, &[]);
    race(Call::Write, 1, &[]);
    for host in [Call::Write, Call::Read] {
        race(host, queues, &[0]);
        race(host, 1, &[0, 1]);
    }
}

//! A device that is lost: every waiter wakes with an error that names the kernels in flight, all memory is given back, and a new device opens in the same process.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use ash::vk;
use tidegate_core::{Context, Error, Limits, MemoryKind, Policy};

use super::program::{self, Kernels, Refusals};
use super::{Fail, Table};
use crate::{Options, VulkanDevice};

/// Far longer than a test may take, so that a waiter which is not woken is seen.
const WAIT_NS: u64 = 300_000_000_000;

fn options() -> Options {
    Options {
        validation: true,
        ..Options::default()
    }
}

/// What a loss during a wait or a launch must say.
fn assert_lost(error: &Error, who: &str) {
    let Error::Lost(fault) = error else {
        panic!("{who}: {error}");
    };
    assert_eq!(fault.kernels, ["add"], "{who}: {error}");
    assert!(error.to_string().contains("ERROR_"), "{who}: {error}");
}

/// A device opened after the loss, in the same process, runs the whole program.
fn assert_works(table: &Table, kernels: &Kernels) {
    table.reset();
    let device = table.open(&options()).unwrap();
    let log = device.validation_log();
    let context = Context::new(device, program::limits());
    let mut refusals = Refusals::default();
    let results = program::run(&context, kernels, Policy::Adaptive, &mut refusals);
    assert!(results.unwrap() == program::expected());
    drop(context);
    assert_eq!(table.live(), [].into());
    assert_eq!(log.messages(), Vec::<String>::new());
}

type Waiter = (&'static str, Box<dyn FnOnce() -> Result<(), Error> + Send>);

/// One of everything that waits, each on a stream of its own. `context` takes two batches in flight.
fn waiters(context: &Context<VulkanDevice>, kernels: &Kernels) -> Vec<Waiter> {
    let add = kernels.add(context).unwrap();
    let x = context.allocate(4096, MemoryKind::Device).unwrap();
    let mut streams: Vec<_> = (0..4)
        .map(|_| context.stream(Policy::EveryDispatch).unwrap())
        .collect();
    // The queue is full after these.
    for by in 0..2 {
        program::launch(&mut streams[0], &add, &x, by).unwrap();
    }
    let event = context.event();
    streams[0].record(&event).unwrap();
    let mut waiters: Vec<Waiter> = Vec::new();
    let mut stream = streams.remove(0);
    waiters.push(("synchronize", Box::new(move || stream.synchronize())));
    waiters.push(("event", Box::new(move || event.synchronize())));
    // Each of these has no room for its batch.
    let (mut launches, mut fills, mut loads) =
        (streams.remove(0), streams.remove(0), streams.remove(0));
    let other = context.allocate(4096, MemoryKind::Device).unwrap();
    waiters.push((
        "launch",
        Box::new(move || program::launch(&mut launches, &add, &other, 1)),
    ));
    let other = context.allocate(4096, MemoryKind::Device).unwrap();
    waiters.push((
        "fill",
        Box::new(move || fills.fill(&other, 0, 4096, &[1; 4])),
    ));
    waiters.push((
        "download",
        Box::new(move || {
            let download = loads.download(&x, 0, 4096)?;
            download.wait_into(&mut [0; 4096])
        }),
    ));
    waiters
}

/// The GPU hangs, everybody waits, and then the driver says that it is lost: to those who sleep in it, or only to who asks next.
#[test]
fn every_waiter_wakes_and_hears_which_kernels_were_in_flight() {
    let table = Table::new();
    let kernels = Kernels::new();
    for deaf in [false, true] {
        table.reset();
        let device = table.open(&options()).unwrap();
        let log = device.validation_log();
        let limits = Limits {
            in_flight_max: 2,
            wait_ns: WAIT_NS,
            ..Limits::default()
        };
        let context = Context::new(device, limits);
        table.swallow(deaf);
        let waiters = waiters(&context, &kernels);
        let all_wait = Barrier::new(waiters.len() + 1);
        let lost = std::thread::scope(|scope| {
            let threads: Vec<_> = waiters
                .into_iter()
                .map(|(name, wait)| {
                    let all_wait = &all_wait;
                    scope.spawn(move || {
                        all_wait.wait();
                        let error = wait().expect_err(name);
                        (name, error, Instant::now())
                    })
                })
                .collect();
            all_wait.wait();
            // Long enough for all to sleep in the driver.
            std::thread::sleep(Duration::from_millis(300));
            assert!(threads.iter().all(|it| !it.is_finished()));
            let lost = Instant::now();
            table.lose();
            if deaf {
                // What looks after a device asks every 0.3 ms.
                assert!(!context.watch().nudge());
            }
            for thread in threads {
                let (name, error, woke) = thread.join().unwrap();
                assert_lost(&error, name);
                assert!(
                    woke - lost < Duration::from_secs(5),
                    "{name}: {:?}",
                    woke - lost
                );
            }
            lost
        });
        // Nothing waits on a device that is known to be lost.
        drop(context);
        assert!(lost.elapsed() < Duration::from_secs(10));
        assert_eq!(table.live(), [].into());
        assert_eq!(log.messages(), Vec::<String>::new());
        assert_works(&table, &kernels);
    }
}

/// Whichever call brings the news, at any point of a program: an error, no hang, and nothing left behind.
#[test]
fn a_loss_at_any_call_is_an_error_and_leaves_nothing_behind() {
    let table = Table::new();
    let kernels = Kernels::new();
    let run = |fail: Option<Fail>| {
        table.reset();
        let device = table.open(&options()).unwrap();
        let log = device.validation_log();
        let context = Context::new(device, program::limits());
        if let Some(it) = fail {
            table.fail(it);
        }
        let mut refusals = Refusals::default();
        let start = Instant::now();
        let result = program::run(&context, &kernels, Policy::Adaptive, &mut refusals);
        drop(context);
        assert!(start.elapsed() < Duration::from_secs(20), "{fail:?}");
        assert_eq!(table.live(), [].into(), "{fail:?}");
        assert_eq!(log.messages(), Vec::<String>::new(), "{fail:?}");
        result
    };
    assert!(run(None).is_ok());
    let mut heard = 0;
    // Opening is another test's. Memory is the sub-allocator's to ask for, which tells want of memory from nothing else; by the specification a loss does not show there.
    let others = [
        "vkCreateDevice",
        "vkCreateSemaphore",
        "vkCreatePipelineCache",
        "vkAllocateMemory",
        "vkMapMemory",
    ];
    for (function, count) in table.calls() {
        if others.contains(&function) {
            continue;
        }
        for at in [1, count / 2 + 1] {
            let fail = Fail {
                function,
                at,
                times: u32::MAX,
                result: vk::Result::ERROR_DEVICE_LOST,
            };
            match run(Some(fail)) {
                Err(Error::Lost(_)) => heard += 1,
                // What only frees, or is best effort, has nobody to tell; results were complete.
                Ok(results) => assert!(results == program::expected(), "{fail:?}"),
                Err(other) => panic!("{fail:?}: {other}"),
            }
        }
    }
    assert!(heard > 25, "{heard}");
    assert_works(&table, &kernels);
}

/// An error that is no loss by the driver's word: we count the device as lost, as nobody knows what ran. But work may still run, so that nothing it uses is given back before it has ended.
#[test]
fn what_may_still_run_keeps_its_memory_when_only_we_count_the_device_as_lost() {
    let table = Table::new();
    let kernels = Kernels::new();
    for function in ["vkQueueSubmit2KHR", "vkGetSemaphoreCounterValue"] {
        table.reset();
        let options = Options {
            drop_wait_ns: 200_000_000,
            ..options()
        };
        let device = table.open(&options).unwrap();
        let log = device.validation_log();
        let context = Context::new(device, program::limits());
        let add = kernels.add(&context).unwrap();
        let x = context.allocate(1 << 20, MemoryKind::Device).unwrap();
        let mut stream = context.stream(Policy::EveryDispatch).unwrap();
        for by in 0..4 {
            program::launch(&mut stream, &add, &x, by).unwrap();
        }
        table.fail(Fail {
            function,
            at: 1,
            times: 1,
            result: vk::Result::ERROR_UNKNOWN,
        });
        let again = program::launch(&mut stream, &add, &x, 5);
        assert_lost(&again.and(stream.synchronize()).unwrap_err(), function);
        let buffers = table.live()["buffer"];
        drop((stream, x, add));
        assert_eq!(table.live()["buffer"], buffers, "{function}");
        drop(context);
        // A submission of which nobody knows whether it was made may run for ever.
        let unknown = function == "vkQueueSubmit2KHR";
        assert_eq!(table.live().is_empty(), !unknown, "{function}");
        assert_eq!(log.messages(), Vec::<String>::new(), "{function}");
    }
    assert_works(&table, &kernels);
}

/// A thread that panics takes its own stream with it and nothing else.
#[test]
fn a_panic_in_a_thread_spoils_nothing_for_the_others() {
    let table = Table::new();
    let kernels = Kernels::new();
    let device = table.open(&options()).unwrap();
    let log = device.validation_log();
    let context = Context::new(device, program::limits());
    let add = kernels.add(&context).unwrap();
    let x = context.allocate(4096, MemoryKind::Device).unwrap();
    let mut stream = context.stream(Policy::UntilSync).unwrap();
    stream.fill(&x, 0, 4096, &[0; 4]).unwrap();
    for round in 1..=8 {
        std::thread::scope(|scope| {
            let (context, add, x) = (&context, &add, &x);
            let died = scope.spawn(move || {
                let mut own = context.stream(Policy::UntilSync).unwrap();
                program::launch(&mut own, add, x, 1).unwrap();
                if round % 2 == 0 {
                    own.begin_capture().unwrap();
                    program::launch(&mut own, add, x, 1000).unwrap();
                }
                let _mine = context.allocate(4096, MemoryKind::Device).unwrap();
                panic!("as planned");
            });
            assert!(died.join().is_err());
        });
        // What it had recorded is work like any other.
        let mut bytes = [0; 4096];
        let download = stream.download(&x, 0, 4096).unwrap();
        download.wait_into(&mut bytes).unwrap();
        assert_eq!(bytes[..4], u32::to_ne_bytes(round));
    }
    drop((stream, x, add, context));
    assert_eq!(table.live(), [].into());
    assert_eq!(log.messages(), Vec::<String>::new());
}

//! Memory that runs out: the operation fails, the stream works on, and the same operation succeeds once there is memory.

use ash::vk;
use tidegate_core::{Context, Error, MemoryKind, Policy};

use super::program::{self, Kernels, Refusals};
use super::{Fail, Table};
use crate::Options;

const NO_MEMORY: [vk::Result; 2] = [
    vk::Result::ERROR_OUT_OF_HOST_MEMORY,
    vk::Result::ERROR_OUT_OF_DEVICE_MEMORY,
];

/// Every way of encoding, under validation.
fn options(descriptors: bool) -> Options {
    Options {
        validation: true,
        push_descriptors: !descriptors,
        synchronization2: !descriptors,
        block_bytes_min: 4 << 20,
        block_bytes_max: 4 << 20,
        ..Options::default()
    }
}

/// Each call that the program makes fails once, or three times in a row, for want of the host's or the device's memory.
#[test]
fn memory_that_runs_out_at_any_call_fails_one_operation_and_nothing_else() {
    let table = Table::new();
    let (kernels, expected) = (Kernels::new(), program::expected());
    let mut reported = 0;
    for (descriptors, policy) in [(true, Policy::Adaptive), (false, Policy::EveryDispatch)] {
        let options = options(descriptors);
        let run = |fail: Option<Fail>| {
            table.reset();
            let device = table.open(&options).unwrap();
            let log = device.validation_log();
            let context = Context::new(device, program::limits());
            let mut refusals = Refusals::default();
            if let Some(it) = fail {
                table.fail(it);
            }
            let results = program::run(&context, &kernels, policy, &mut refusals);
            let results = results.unwrap_or_else(|error| panic!("{fail:?}: {error}"));
            assert!(results == expected, "{fail:?}: {refusals:?}");
            drop(context);
            assert_eq!(table.live(), [].into(), "{fail:?}");
            assert_eq!(log.messages(), Vec::<String>::new(), "{fail:?}");
            refusals.0.len()
        };
        assert_eq!(run(None), 0);
        // What opening calls is another test's.
        let opening = [
            "vkCreateDevice",
            "vkCreateSemaphore",
            "vkCreatePipelineCache",
        ];
        let calls = table.calls().into_iter();
        for (function, count) in calls.filter(|it| !opening.contains(&it.0)) {
            // The policy asks at any time how far the device is.
            let asks = function == "vkGetSemaphoreCounterValue" && policy == Policy::Adaptive;
            let first = if asks { count } else { count.min(2) };
            for at in (1..=first).chain([count]) {
                let fail = Fail {
                    function,
                    at,
                    times: if at == 2 { 3 } else { 1 },
                    result: NO_MEMORY[at as usize % 2],
                };
                reported += run(Some(fail));
            }
        }
    }
    // Some failures are met by trying in another way. Most are the caller's to know.
    assert!(reported > 50, "{reported}");
}

#[test]
fn a_device_that_finds_no_memory_to_open_leaves_nothing_behind() {
    let table = Table::new();
    for function in [
        "vkCreateDevice",
        "vkCreateSemaphore",
        "vkCreatePipelineCache",
    ] {
        for result in NO_MEMORY {
            table.reset();
            // The pipeline cache is tried twice, the second time without what an earlier run left.
            table.fail(Fail {
                function,
                at: 1,
                times: 2,
                result,
            });
            let error = table.open(&options(false)).unwrap_err().to_string();
            assert!(error.contains(function), "{error}");
            assert_eq!(table.live(), [].into(), "{function}");
            table.reset();
            drop(table.open(&options(false)).unwrap());
            assert_eq!(table.live(), [].into());
        }
    }
}

/// The driver has so much and no more: what does not fit is refused with numbers, and fits once something is dropped.
#[test]
fn freeing_makes_room() {
    const MIB: u64 = 1 << 20;
    let table = Table::new();
    table.limit(40 * MIB);
    let kernels = Kernels::new();
    let context = Context::new(table.open(&options(false)).unwrap(), program::limits());
    let allocate = |mib| context.allocate(mib * MIB, MemoryKind::Device);
    for _ in 0..3 {
        let mut held = Vec::new();
        let error = loop {
            match allocate(8) {
                Ok(memory) => held.push(memory),
                Err(error) => break error,
            }
        };
        assert!((3..=5).contains(&held.len()), "{}", held.len());
        assert!(
            matches!(error, Error::OutOfMemory { requested, in_use, .. } if requested == 8 * MIB && in_use >= 24 * MIB),
            "{error}"
        );
        // The stream works on with what it has.
        let mut stream = context.stream(Policy::Adaptive).unwrap();
        let add = kernels.add(&context).unwrap();
        stream.fill(&held[0], 0, MIB, &[0; 4]).unwrap();
        program::launch(&mut stream, &add, &held[0], 7).unwrap();
        let error = allocate(8).unwrap_err();
        assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
        // Dropped while work may still use it.
        drop((held.pop(), held.remove(0)));
        held.push(allocate(8).unwrap());
        stream.synchronize().unwrap();
    }
    drop(context);
    assert_eq!(table.live(), [].into());
}

//! Devices that fail, seen from the public interface.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, too, may stop at the first surprise"
)]

use std::time::{Duration, Instant};

use tidegate::sim::{Failure, Faults, Setup, Sim, Stall, kernels};
use tidegate::{Buffer, Device, Error, ErrorKind, Kernel, Limits, Policy, Stream, StreamError};
use tidegate_core::{Code, Ticket};

const POLICIES: [Policy; 3] = [Policy::EveryDispatch, Policy::UntilSync, Policy::Adaptive];

fn open(seed: u64) -> (Sim, Device) {
    let sim = Sim::with(seed, Setup::default());
    let device = Device::simulated(sim.clone(), Limits::default());
    (sim, device)
}

fn affine(device: &Device) -> Kernel {
    let (kernel, Code::Host(run)) = kernels::affine() else {
        panic!("a twin is a function");
    };
    let module = device.module_from_host(vec![(kernel, run)]);
    module.kernel("affine").unwrap()
}

/// A stream with nothing to do, and a kernel and 64 zeros to work with.
fn idle(seed: u64, policy: Policy) -> (Sim, Stream, Kernel, Buffer<u32>) {
    let (sim, device) = open(seed);
    let mut stream = device.stream_with(policy).unwrap();
    let x = stream.zeros(64).unwrap();
    stream.synchronize().unwrap();
    (sim, stream, affine(&device), x)
}

fn each(test: impl Fn(u64, Policy)) {
    for policy in POLICIES {
        (0..20).for_each(|seed| test(seed, policy));
    }
}

/// Records until the device is known to be lost, and gives the error.
fn lose(stream: &mut Stream, kernel: &Kernel) -> Error {
    let x = stream.device().buffer::<u32>(64).unwrap();
    let mut record = || {
        stream.upload(&x, &[1; 64])?;
        stream.launch(kernel, 1, (&x, 2_u32, 3_u32))?;
        stream.download(&x)?.wait()
    };
    record().unwrap_err()
}

#[test]
fn a_lost_device_is_an_error_for_everyone_and_a_new_one_works() {
    each(|seed, policy| {
        let (sim, device) = open(seed);
        let mut stream = device.stream_with(policy).unwrap();
        let mut other = device.stream_with(policy).unwrap();
        let kernel = affine(&device);
        let y = other.zeros::<u32>(64).unwrap();
        let late = other.download(&y).unwrap();
        other.synchronize().unwrap();
        sim.arm(Faults {
            // The launch, if it is submitted by itself; what it is submitted with, if not.
            lost_in: Some(Ticket {
                queue: 0,
                value: if policy == Policy::EveryDispatch {
                    2
                } else {
                    1
                },
            }),
            ..Faults::default()
        });
        let error = lose(&mut stream, &kernel);
        assert_eq!(error.kind(), ErrorKind::Lost);
        assert!(error.to_string().contains("affine"), "{error}");
        for error in [
            other.synchronize().unwrap_err(),
            other.query().map(|_| ()).unwrap_err(),
            other.flush().unwrap_err(),
            late.wait().map(|_| ()).unwrap_err(),
            stream.zeros::<u32>(4).map(|_| ()).unwrap_err(),
            stream.launch(&kernel, 1, (&y, 1_u32, 1_u32)).unwrap_err(),
            device.stream().map(|_| ()).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Lost, "{error}");
        }
        drop((stream, other, kernel, y, late, device));
        assert_eq!((sim.live().allocations, sim.live().pipelines), (0, 0));

        let (_, device) = open(seed);
        let mut stream = device.stream_with(policy).unwrap();
        let x = stream.upload_new(&[1_u32; 4]).unwrap();
        stream
            .launch(&affine(&device), 1, (&x, 2_u32, 3_u32))
            .unwrap();
        assert_eq!(stream.download(&x).unwrap().wait().unwrap(), [5; 4]);
    });
}

#[test]
fn a_failed_submission_spoils_its_results_and_nothing_else() {
    each(|seed, policy| {
        let (sim, mut stream, kernel, x) = idle(seed, policy);
        let before = stream.counters().submissions;
        sim.arm(Faults {
            failures: vec![Failure {
                ticket: Ticket {
                    queue: 0,
                    value: before + 1,
                },
                named: seed % 2 == 0,
            }],
            ..Faults::default()
        });
        let mut spoilt = || {
            stream.launch(&kernel, 1, (&x, 2_u32, 3_u32))?;
            stream.download(&x)?.wait()
        };
        let error = spoilt().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert!(error.to_string().contains("affine"), "{error}");
        // The stream says it at most once more.
        if let Err(again) = stream.synchronize() {
            assert_eq!(again.kind(), ErrorKind::Failed);
        }
        stream.fill(&x, 7).unwrap();
        stream.launch(&kernel, 1, (&x, 2_u32, 3_u32)).unwrap();
        assert_eq!(stream.download(&x).unwrap().wait().unwrap(), [17; 64]);
        sim.assert_clean();
    });
}

#[test]
fn a_submission_without_memory_is_kept_and_done_later() {
    each(|seed, policy| {
        let (sim, mut stream, kernel, x) = idle(seed, policy);
        sim.arm(Faults {
            submits: vec![1, 2, 3],
            ..Faults::default()
        });
        stream.launch(&kernel, 1, (&x, 1_u32, 3_u32)).unwrap();
        let mut refusals = 0;
        while let Err(error) = stream.synchronize() {
            assert!(matches!(
                error,
                Error::Stream(StreamError::SubmissionOutOfMemory)
            ));
            assert_eq!(error.kind(), ErrorKind::OutOfMemory);
            refusals += 1;
        }
        assert!((2..=3).contains(&refusals), "{refusals}");
        // Nor does a result go with it that is waited for.
        let pending = stream.download(&x).unwrap();
        sim.arm(Faults {
            submits: vec![1, 2, 3],
            ..Faults::default()
        });
        stream.launch(&kernel, 1, (&x, 1_u32, 3_u32)).unwrap();
        let late = stream.download(&x).unwrap();
        let got = loop {
            match late.wait() {
                Ok(got) => break got,
                Err(error) => assert_eq!(error.kind(), ErrorKind::OutOfMemory),
            }
        };
        assert_eq!(got, [6; 64]);
        assert_eq!(pending.wait().unwrap(), [3; 64]);
        sim.assert_clean();
    });
}

#[test]
fn a_stall_is_an_error_in_bounded_time() {
    each(|seed, policy| {
        let (sim, mut stream, kernel, x) = idle(seed, policy);
        sim.arm(Faults {
            stalls: vec![Stall {
                after: 0,
                queue: 0,
                waits: None,
            }],
            ..Faults::default()
        });
        stream.launch(&kernel, 1, (&x, 1_u32, 3_u32)).unwrap();
        let start = Instant::now();
        let error = stream.synchronize().unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(10));
        assert_eq!(error.kind(), ErrorKind::Stalled);
        assert!(error.to_string().contains("affine"), "{error}");
        let pending = stream.download(&x).unwrap();
        assert_eq!(pending.wait().unwrap_err().kind(), ErrorKind::Stalled);
        sim.release(0);
        assert_eq!(pending.wait().unwrap(), [3; 64]);
        sim.assert_clean();
    });
}

#[test]
fn dropping_everything_on_a_stalled_device_ends() {
    let (sim, device) = open(1);
    let mut stream = device.stream().unwrap();
    sim.arm(Faults {
        stalls: vec![Stall {
            after: 0,
            queue: 0,
            waits: None,
        }],
        ..Faults::default()
    });
    let x = stream.zeros::<u32>(64).unwrap();
    drop((stream, x, device));
    sim.assert_clean();
    assert!(
        sim.live().allocations > 0,
        "what may still run keeps its memory"
    );
}

#[test]
fn a_refused_pipeline_names_its_kernel() {
    let (sim, device) = open(1);
    sim.arm(Faults {
        pipelines: vec![1],
        ..Faults::default()
    });
    let (kernel, Code::Host(run)) = kernels::affine() else {
        panic!("a twin is a function");
    };
    let module = device.module_from_host(vec![(kernel, run)]);
    let error = module.kernel("affine").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("affine"), "{error}");
    module.kernel("affine").unwrap();
}

#[test]
fn memory_that_the_device_does_not_have_is_asked_for_again() {
    let (sim, device) = open(1);
    sim.arm(Faults {
        budget_bytes: Some(1 << 16),
        ..Faults::default()
    });
    let first = device.buffer::<u8>(40_000).unwrap();
    let error = device.buffer::<u8>(40_000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    assert!(error.to_string().contains("40000"), "{error}");
    drop(first);
    device.buffer::<u8>(50_000).unwrap();
}

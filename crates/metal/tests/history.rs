//! The histories of the simulated device on the software classes, which break every order that Metal does not promise.
#![cfg(metal_soft)]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, too, may stop at the first surprise"
)]

mod common;
#[path = "../../tidegate/tests/conformance/kernels.rs"]
mod kernels;

use tidegate_core::{Code, Device, Kernel, Limits};
use tidegate_metal::{MetalDevice, Options, Select};
use tidegate_sim::history::{
    Case, Failure, History, HostKernels, Kernels, Shape, Which, run, shrink,
};
use tidegate_softmetal::{Observer, Setup};

/// The twins' interfaces, and the code of their WGSL.
struct Wgsl;

impl Kernels for Wgsl {
    fn make(&self, which: Which) -> (Kernel, Code) {
        let (kernel, _) = HostKernels.make(which);
        let code = common::msl(&kernels::wgsl(which.name()), &kernel);
        (kernel, code)
    }
}

/// What a seed decides besides its history.
fn setup(seed: u64) -> (Setup, Options) {
    let mut setup = Setup::seeded(seed);
    setup.unified = !seed.is_multiple_of(3);
    setup.residency_sets = seed.is_multiple_of(2);
    setup.delay_us_max = [0, 200, 2000][seed as usize % 3];
    let options = Options {
        queues_max: 1 + seed as u32 % 4,
        ..Options::default()
    };
    (setup, options)
}

fn run_on_metal(seed: u64, limits: &Limits, history: &History) -> Result<(), Failure> {
    let (setup, options) = setup(seed);
    let observer = Observer::new(setup);
    let device = MetalDevice::open(&Select::Best, &options).unwrap();
    let result = run(device, limits, &Wgsl, history);
    let wrong = observer.faults_at_end();
    assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
    result
}

#[test]
fn streams_keep_their_promises_on_metal() {
    for seed in 0..12 {
        let limits = Case::new(seed, 0).limits;
        let (setup, options) = setup(seed);
        let observer = Observer::new(setup);
        let device = MetalDevice::open(&Select::Best, &options).unwrap();
        let shape = Shape::of(device.capabilities(), 1000);
        drop((device, observer));
        let history = shape.history(seed);
        if let Err(failure) = run_on_metal(seed, &limits, &history) {
            let small = shrink(&history, |it| run_on_metal(seed, &limits, it).is_err());
            panic!("seed {seed}: {failure}\n{limits:?}\nthese are enough:\n{small}");
        }
    }
}

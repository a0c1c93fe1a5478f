//! The device's contract, as every backend is held to it, on the simulated device. What it says to calls that break the contract is in `contract/`.

#[path = "../../core/tests/device/promises.rs"]
mod contract;
#[path = "../../core/tests/device/rig.rs"]
mod rig;

use std::sync::Arc;

use rig::*;
use tidegate_core::{Code, HostKernel};
use tidegate_sim::{Setup, Sim};

type Rig = rig::Rig<Simulated>;

struct Simulated(Sim);

impl Backend for Simulated {
    type Device = Sim;
    type Way = (u64, Setup);

    fn ways() -> Vec<(u64, Setup)> {
        let way = |seed| {
            let mut setup = if seed % 2 == 0 {
                Setup::unified()
            } else {
                Setup::default()
            };
            setup.capabilities.queues = 1 + seed as u32;
            setup.capabilities.copy_align = if seed < 2 { 1 } else { 4 };
            setup.late = Some(seed == 3);
            (seed, setup)
        };
        (0..4).map(way).collect()
    }

    fn open((seed, setup): &(u64, Setup)) -> Self {
        Self(Sim::with(*seed, setup.clone()))
    }

    fn device(&self) -> &Sim {
        &self.0
    }

    fn code(source: &Source) -> Code {
        Code::Host(HostKernel(Arc::new(source.host)))
    }

    fn end(self) -> Vec<String> {
        let violations = self.0.violations();
        violations.iter().map(ToString::to_string).collect()
    }
}

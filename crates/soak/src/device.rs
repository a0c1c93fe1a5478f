//! What histories run on.

#[cfg(all(feature = "metal", any(target_vendor = "apple", metal_soft)))]
mod metal;
#[cfg(feature = "vulkan")]
mod vulkan;
#[cfg(any(
    feature = "vulkan",
    all(feature = "metal", any(target_vendor = "apple", metal_soft))
))]
mod watched;

use tidegate_sim::history::{Case, Failure};

use crate::Device;
use crate::run::Found;

/// A device, or where to open one for each history.
pub(crate) enum Target {
    Sim,
    #[cfg(feature = "vulkan")]
    Vulkan(Box<vulkan::Vulkan>),
    #[cfg(all(feature = "metal", any(target_vendor = "apple", metal_soft)))]
    Metal(Box<metal::Metal>),
}

impl Target {
    /// Looks whether there is such a device.
    pub(crate) fn open(device: Device) -> Result<Self, String> {
        match device {
            Device::Sim => Ok(Self::Sim),
            #[cfg(feature = "vulkan")]
            Device::Vulkan => vulkan::Vulkan::find().map(|it| Self::Vulkan(Box::new(it))),
            #[cfg(all(feature = "metal", any(target_vendor = "apple", metal_soft)))]
            Device::Metal => metal::Metal::find().map(|it| Self::Metal(Box::new(it))),
            #[cfg(not(all(
                feature = "vulkan",
                feature = "metal",
                any(target_vendor = "apple", metal_soft)
            )))]
            #[allow(unreachable_patterns, reason = "a build has one of the two, or none")]
            other => Err(format!("this build has no {}", other.name())),
        }
    }

    /// As on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sim => Device::Sim.name(),
            #[cfg(feature = "vulkan")]
            Self::Vulkan(_) => Device::Vulkan.name(),
            #[cfg(all(feature = "metal", any(target_vendor = "apple", metal_soft)))]
            Self::Metal(_) => Device::Metal.name(),
        }
    }

    /// The device in its driver's words.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Sim => "the simulated device".to_owned(),
            #[cfg(feature = "vulkan")]
            Self::Vulkan(it) => it.words(),
            #[cfg(all(feature = "metal", any(target_vendor = "apple", metal_soft)))]
            Self::Metal(it) => it.words(),
        }
    }

    /// The calls of a seed.
    pub(crate) fn history(&self, seed: u64, commands: usize) -> String {
        match self {
            Self::Sim => Case::soak(seed, commands).history.to_string(),
            #[cfg(feature = "vulkan")]
            Self::Vulkan(it) => it.case(seed, commands).history.to_string(),
            #[cfg(all(feature = "metal", any(target_vendor = "apple", metal_soft)))]
            Self::Metal(it) => it.case(seed, commands).history.to_string(),
        }
    }

    /// Runs a seed's history. Boxed, as a failure is rare and large.
    pub(crate) fn run(&self, seed: u64, commands: usize) -> Result<(), Box<Found>> {
        match self {
            Self::Sim => {
                let case = Case::soak(seed, commands);
                let last = |it: &Case| it.last_batches();
                judged(&case, &|it| it.run_caught(), &last)
            }
            #[cfg(feature = "vulkan")]
            Self::Vulkan(it) => {
                let case = it.case(seed, commands);
                judged(&case, &|case| it.run(case), &|_| it.last_batches())
            }
            #[cfg(all(feature = "metal", any(target_vendor = "apple", metal_soft)))]
            Self::Metal(it) => {
                let case = it.case(seed, commands);
                judged(&case, &|case| it.run(case), &|_| it.last_batches())
            }
        }
    }
}

/// Runs a case and makes a failing one small.
fn judged(
    case: &Case,
    run: &dyn Fn(&Case) -> Result<(), Failure>,
    batches: &dyn Fn(&Case) -> String,
) -> Result<(), Box<Found>> {
    let Err(failure) = run(case) else {
        return Ok(());
    };
    let small = case.shrunk(|it| run(it).is_err());
    let again = match run(&small) {
        Ok(()) => "which pass when run again".to_owned(),
        Err(it) => it.to_string(),
    };
    Err(Box::new(Found {
        seed: case.seed,
        detail: failure.to_string(),
        calls: case.history.0.len(),
        calls_enough: small.history.0.len(),
        history: format!("{}{again}", small.history),
        setting: case.words(),
        batches: batches(&small),
    }))
}

#[cfg(test)]
mod tests {
    use tidegate_sim::history::Op;

    use super::*;

    /// Fails if there is a copy after a flush.
    fn picky(case: &Case) -> Result<(), Failure> {
        let mut ops = case.history.0.iter();
        let is_flush = |it: &Op| matches!(it, Op::Flush(_));
        let is_copy = |it: &Op| matches!(it, Op::Copy(..));
        match ops.any(is_flush) && ops.any(is_copy) {
            false => Ok(()),
            true => Err(Failure {
                at: 7,
                detail: "picky".to_owned(),
            }),
        }
    }

    #[test]
    fn a_failure_is_made_small_and_told_in_full() {
        let case = Case::soak(12, 200);
        let found = judged(&case, &picky, &|_| "batches".to_owned()).unwrap_err();
        assert_eq!((found.seed, found.calls), (12, case.history.0.len()));
        assert_eq!(found.calls_enough, 2);
        assert!(found.history.contains("flush") && found.history.contains("copy"));
        assert!(
            found.history.ends_with("call 7: picky"),
            "{}",
            found.history
        );
        assert_eq!(found.batches, "batches");
        assert!(judged(&case, &|_| Ok(()), &|_| String::new()).is_ok());
    }
}

//! The simulated device.

use tidegate_sim::Sim;

use super::AnyBackend;

impl AnyBackend for Sim {
    fn simulator(&self) -> Option<&Sim> {
        Some(self)
    }
}

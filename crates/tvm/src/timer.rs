//! Timers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cards::{Card, runtime};
use crate::error::Result;

/// A stretch of a stream's work that is timed.
#[derive(Debug)]
pub(crate) struct Timer {
    card: Arc<Card>,
    stream: u64,
    began: Instant,
    took: Option<Duration>,
}

impl Timer {
    pub(crate) fn start(index: i32, stream: u64) -> Result<Self> {
        let card = runtime().card(index)?;
        card.synchronize(stream)?;
        Ok(Self {
            card,
            stream,
            began: Instant::now(),
            took: None,
        })
    }

    pub(crate) fn stop(&mut self) -> Result<()> {
        self.card.synchronize(self.stream)?;
        self.took = Some(self.began.elapsed());
        Ok(())
    }

    pub(crate) fn elapsed_ns(&mut self) -> Result<i64> {
        let took = self.took.unwrap_or_else(|| self.began.elapsed());
        Ok(i64::try_from(took.as_nanos()).unwrap_or(i64::MAX))
    }
}

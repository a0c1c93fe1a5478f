//! Contenders of one piece of work.

use std::rc::Rc;
use std::time::Instant;

use anyhow::{Result, bail};
use tidegate_measure::{Contender, Sample};

use crate::script::{Place, Script};

/// Something that carries a script out.
pub trait Runner {
    /// One step, and the wait for it.
    ///
    /// # Errors
    /// The device's.
    fn step(&mut self) -> Result<()>;

    /// Steps since the stores had their first content.
    fn steps(&self) -> u64;

    /// What a place holds now.
    ///
    /// # Errors
    /// The device's.
    fn read(&mut self, place: Place) -> Result<Vec<u32>>;

    /// Submissions and barriers so far; what cannot be told is 0.
    fn counts(&self) -> (u64, u64);
}

/// A runner as a contender.
#[derive(Debug)]
pub struct Entry<R> {
    name: &'static str,
    runner: R,
    script: Rc<Script>,
}

impl<R: Runner + 'static> Entry<R> {
    /// A runner whose results are those of `script`.
    pub fn boxed(
        name: &'static str,
        script: &Rc<Script>,
        runner: R,
    ) -> Box<dyn Contender<anyhow::Error>> {
        Box::new(Self {
            name,
            runner,
            script: Rc::clone(script),
        })
    }
}

impl<R: Runner> Contender<anyhow::Error> for Entry<R> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, steps: u32) -> Result<Sample> {
        let before = self.runner.counts();
        let start = Instant::now();
        for _ in 0..steps {
            self.runner.step()?;
        }
        let elapsed = start.elapsed();
        let after = self.runner.counts();
        Ok(Sample {
            elapsed,
            submissions: after.0 - before.0,
            barriers: after.1 - before.1,
            launches: 0,
        })
    }

    fn check(&mut self) -> Result<()> {
        check(self.name, &mut self.runner, &self.script)
    }
}

/// Compares every word.
///
/// # Errors
/// One is wrong, or cannot be read.
pub fn check(name: &str, runner: &mut dyn Runner, script: &Script) -> Result<()> {
    let steps = runner.steps();
    for (place, words) in (script.expect)(steps) {
        let found = runner.read(place)?;
        if found.len() != words.len() {
            bail!(
                "{name}: {place:?} has {} words and must have {}",
                found.len(),
                words.len()
            );
        }
        let wrong = (0..)
            .zip(found.iter().zip(&words))
            .find(|(_, (found, word))| found != word);
        if let Some((at, (found, word))) = wrong {
            let at: u32 = at;
            bail!(
                "{name}: after {steps} steps word {at} of {place:?} is {found} and must be {word}"
            );
        }
    }
    Ok(())
}

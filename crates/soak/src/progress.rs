//! How far a soak is: a bar on a terminal, a line now and then elsewhere.

use std::io::Write as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tidegate_measure::counted;

use crate::Plan;

/// Between two lines where there is no bar.
const PLAIN_LINE_EVERY: Duration = Duration::from_secs(15);

pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
    spoken: Instant,
    time: Option<Duration>,
    seeds: u64,
}

impl Progress {
    pub(crate) fn new(plan: &Plan) -> Self {
        let seeds = plan.seeds.end - plan.seeds.start;
        let length = plan.time.map_or(seeds, |it| it.as_secs().max(1));
        let bar = ProgressBar::new(length);
        let template = "    [{bar:30}] {msg} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        let now = Instant::now();
        Self {
            bar,
            started: now,
            spoken: now,
            time: plan.time,
            seeds,
        }
    }

    pub(crate) fn set(&mut self, cases: u64) {
        let elapsed = self.started.elapsed();
        let per_second = cases as f64 / elapsed.as_secs_f64().max(0.001);
        let words = match self.time {
            Some(time) => format!(
                "{}, {per_second:.0}/s, {:.1} of {:.1} minutes",
                counted(cases, "history"),
                elapsed.as_secs_f64() / 60.0,
                time.as_secs_f64() / 60.0
            ),
            None => {
                let all = counted(self.seeds, "history");
                format!("{cases} of {all}, {per_second:.0}/s")
            }
        };
        let position = self.time.map_or(cases, |_| elapsed.as_secs());
        self.bar.set_position(position);
        self.bar.set_message(words.clone());
        if self.bar.is_hidden() && self.spoken.elapsed() >= PLAIN_LINE_EVERY {
            self.spoken = Instant::now();
            let _ = writeln!(std::io::stderr(), "    {words}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

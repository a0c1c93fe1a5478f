//! Contenders that take turns in one process, so that whatever else the machine does meets all of them alike.
#![forbid(unsafe_code)]

mod file;

use std::time::{Duration, Instant};

use serde::Serialize;

pub use crate::file::PlannedFile;

/// One way of doing the same work.
pub trait Contender<E> {
    /// Its row's name.
    fn name(&self) -> &'static str;

    /// Does the work `steps` times and measures it.
    ///
    /// # Errors
    /// The work cannot be done.
    fn run(&mut self, steps: u32) -> Result<Sample, E>;

    /// Whether everything done so far has given the right result.
    ///
    /// # Errors
    /// It has not, or it cannot be read.
    fn check(&mut self) -> Result<(), E>;
}

/// A number of things: `1 row`, `2 launches`, `3 histories`. The noun is one whose plural follows these rules.
pub fn counted(count: u64, noun: &str) -> String {
    let (stem, end) = match noun.strip_suffix('y') {
        _ if count == 1 => (noun, ""),
        Some(stem) => (stem, "ies"),
        None if noun.ends_with("ch") => (noun, "es"),
        None => (noun, "s"),
    };
    format!("{count} {stem}{end}")
}

/// What the steps of one turn took together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Time, the wait for the device included.
    pub elapsed: Duration,
    /// Submissions to the device.
    pub submissions: u64,
    /// Barriers inside submissions.
    pub barriers: u64,
    /// Launches, 0 where nobody counts them.
    pub launches: u64,
}

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Turns of each contender.
    pub rounds: u32,
    /// Clocks rise and caches fill for this long first.
    pub warm_up: Duration,
    /// So many turns of each contender come first at least.
    pub warm_up_rounds: u32,
    /// What a turn is.
    pub turn: Turn,
    /// Whether each turn begins with an eighth as many steps that are not measured. A GPU that changes over from one device's work to another's, as it does where contenders
    /// have opened devices of their own, takes 155 us for it on an H100.
    pub lead_in: bool,
}

/// How many steps a turn has.
#[derive(Clone, Copy, Debug)]
pub enum Turn {
    /// As many as the fastest contender does in about this time, so that neither the clock nor the change of turns shows.
    Lasting(Duration),
    /// So many.
    Steps(u32),
}

impl Plan {
    /// For work that takes up to some milliseconds.
    pub fn new(rounds: u32) -> Self {
        Self {
            rounds,
            warm_up: Duration::from_millis(200),
            warm_up_rounds: 3,
            turn: Turn::Lasting(Duration::from_millis(3)),
            lead_in: false,
        }
    }

    /// For turns of a fixed number of steps, which together take long.
    pub fn of_steps(rounds: u32, steps: u32) -> Self {
        Self {
            rounds,
            warm_up: Duration::ZERO,
            warm_up_rounds: 1,
            turn: Turn::Steps(steps),
            lead_in: false,
        }
    }
}

/// A contender's row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The contender's.
    pub name: &'static str,
    /// The median of the rounds.
    pub us_per_step: f64,
    /// The 10th percentile of the rounds.
    pub us_per_step_low: f64,
    /// The 90th percentile of the rounds.
    pub us_per_step_high: f64,
    /// Of one step.
    pub submissions: u64,
    /// Of one step.
    pub barriers: u64,
    /// How many times as fast as the reference it is: the median of the rounds' own ratios.
    pub ratio_to_every_dispatch: f64,
    /// The ratio's 95 % confidence interval begins here,
    pub ratio_low: f64,
    /// and ends here.
    pub ratio_high: f64,
}

/// A median with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The median.
    pub median: f64,
    /// Where its interval begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
}

/// The samples of all contenders.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Steps of one turn.
    pub steps: u32,
    names: Vec<&'static str>,
    /// By contender, then by round.
    samples: Vec<Vec<Sample>>,
}

/// No turn has more steps.
const STEPS_MAX: u32 = 256;

/// Lets the contenders take turns, then checks each one's result. `on_round` hears of every round that is over.
///
/// # Errors
/// The first one that a contender has.
pub fn run<E>(
    contenders: &mut [Box<dyn Contender<E>>],
    plan: &Plan,
    on_round: &mut dyn FnMut(),
) -> Result<Measured, E> {
    let steps = warm_up(contenders, plan)?;
    let mut samples = vec![Vec::with_capacity(plan.rounds as usize); contenders.len()];
    for round in 0..plan.rounds as usize {
        for turn in 0..contenders.len() {
            let index = position(round, turn, contenders.len());
            if plan.lead_in {
                contenders[index].run(steps.div_ceil(8))?;
            }
            samples[index].push(contenders[index].run(steps)?);
        }
        on_round();
    }
    for contender in contenders.iter_mut() {
        contender.check()?;
    }
    Ok(Measured {
        steps,
        names: contenders.iter().map(|it| it.name()).collect(),
        samples,
    })
}

/// Whose turn it is: every other round goes backwards, and every second one begins one later, so that nobody always follows the same one.
fn position(round: usize, turn: usize, contenders: usize) -> usize {
    let turn = if round.is_multiple_of(2) {
        turn
    } else {
        contenders - 1 - turn
    };
    (turn + round / 2) % contenders
}

/// Each contender's result is checked by itself here, before others can hide what it did. Gives the steps of a turn.
fn warm_up<E>(contenders: &mut [Box<dyn Contender<E>>], plan: &Plan) -> Result<u32, E> {
    let start = Instant::now();
    let mut fastest = Duration::MAX;
    let mut rounds = 0;
    let trial = match plan.turn {
        Turn::Lasting(_) => 1,
        Turn::Steps(steps) => steps,
    };
    while rounds < plan.warm_up_rounds || start.elapsed() < plan.warm_up {
        for contender in contenders.iter_mut() {
            fastest = fastest.min(contender.run(trial)?.elapsed);
            if rounds == 0 {
                contender.check()?;
            }
        }
        rounds += 1;
    }
    let Turn::Lasting(turn) = plan.turn else {
        return Ok(trial);
    };
    let steps = turn.as_nanos().div_ceil(fastest.as_nanos().max(1));
    Ok(u32::try_from(steps)
        .unwrap_or(STEPS_MAX)
        .clamp(1, STEPS_MAX))
}

impl Measured {
    /// The contenders' rows in their order; ratios say how many times as fast as contender `reference` each is.
    pub fn rows(&self, reference: usize) -> Vec<Row> {
        let reference = &self.samples[reference];
        self.names
            .iter()
            .zip(&self.samples)
            .map(|(name, samples)| self.row(name, samples, reference))
            .collect()
    }

    /// A contender's median of something that is counted, a step.
    pub fn per_step(&self, contender: usize, count: fn(&Sample) -> u64) -> f64 {
        let samples = self.samples[contender].iter();
        let mut values: Vec<f64> = samples.map(|it| count(it) as f64).collect();
        values.sort_by(f64::total_cmp);
        quantile(&values, 0.5) / f64::from(self.steps)
    }

    /// The contenders' names, in their order.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// How long one contender takes, in times of another: the median of the rounds' own ratios.
    pub fn ratio(&self, own: usize, other: usize) -> Estimate {
        self.compare(own, other, |own, other| own / other)
    }

    /// How many microseconds longer a step of one contender takes than one of another: the median of the rounds' own differences.
    pub fn difference(&self, own: usize, other: usize) -> Estimate {
        let steps = f64::from(self.steps);
        self.compare(own, other, |own, other| (own - other) * 1e6 / steps)
    }

    fn compare(&self, own: usize, other: usize, by: impl Fn(f64, f64) -> f64) -> Estimate {
        let pairs = self.samples[own].iter().zip(&self.samples[other]);
        let mut values: Vec<f64> = pairs
            .map(|(own, other)| by(own.elapsed.as_secs_f64(), other.elapsed.as_secs_f64()))
            .collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = median_interval(&values);
        Estimate {
            median: quantile(&values, 0.5),
            low,
            high,
        }
    }

    fn row(&self, name: &'static str, samples: &[Sample], reference: &[Sample]) -> Row {
        let steps = f64::from(self.steps);
        let sorted = |values: &mut dyn Iterator<Item = f64>| {
            let mut values: Vec<f64> = values.collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let times = sorted(
            &mut samples
                .iter()
                .map(|it| it.elapsed.as_secs_f64() * 1e6 / steps),
        );
        let ratio = |(own, other): (&Sample, &Sample)| {
            other.elapsed.as_secs_f64() / own.elapsed.as_secs_f64()
        };
        let ratios = sorted(&mut samples.iter().zip(reference).map(ratio));
        let median_of = |count: fn(&Sample) -> u64| {
            let values = sorted(&mut samples.iter().map(|it| count(it) as f64 / steps));
            quantile(&values, 0.5).round() as u64
        };
        let (ratio_low, ratio_high) = median_interval(&ratios);
        Row {
            name,
            us_per_step: quantile(&times, 0.5),
            us_per_step_low: quantile(&times, 0.1),
            us_per_step_high: quantile(&times, 0.9),
            submissions: median_of(|it| it.submissions),
            barriers: median_of(|it| it.barriers),
            ratio_to_every_dispatch: quantile(&ratios, 0.5),
            ratio_low,
            ratio_high,
        }
    }
}

/// Between the two nearest values of a sorted, non-empty list.
pub fn quantile(sorted: &[f64], at: f64) -> f64 {
    let place = at * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor())
}

/// The 95 % confidence interval of the median, whatever the distribution: how many of n values lie below the median is
/// binomial, so that its ranks are n/2 less and more 1.96 standard deviations of sqrt(n)/2.
fn median_interval(sorted: &[f64]) -> (f64, f64) {
    let n = sorted.len() as f64;
    let below = (n / 2.0 - 0.98 * n.sqrt()).floor().max(0.0) as usize;
    let low = below.min(sorted.len() - 1);
    (sorted[low], sorted[sorted.len() - 1 - low])
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// Whose turn it was, in order.
    type Turns = Rc<RefCell<Vec<&'static str>>>;

    struct Scripted {
        name: &'static str,
        micros: u64,
        turns: Turns,
        wrong: bool,
    }

    impl Contender<String> for Scripted {
        fn name(&self) -> &'static str {
            self.name
        }

        fn run(&mut self, steps: u32) -> Result<Sample, String> {
            self.turns.borrow_mut().push(self.name);
            Ok(Sample {
                elapsed: Duration::from_micros(self.micros) * steps,
                submissions: 2 * u64::from(steps),
                barriers: 3 * u64::from(steps),
                launches: 5 * u64::from(steps),
            })
        }

        fn check(&mut self) -> Result<(), String> {
            if self.wrong {
                return Err("wrong".to_owned());
            }
            Ok(())
        }
    }

    fn contenders(wrong: bool) -> (Vec<Box<dyn Contender<String>>>, Turns) {
        let turns = Turns::default();
        let contender = |name, micros, wrong| -> Box<dyn Contender<String>> {
            let turns = Rc::clone(&turns);
            Box::new(Scripted {
                name,
                micros,
                turns,
                wrong,
            })
        };
        let list = vec![
            contender("a", 1000, false),
            contender("b", 250, wrong),
            contender("c", 500, false),
        ];
        (list, turns)
    }

    fn plan() -> Plan {
        Plan {
            rounds: 30,
            warm_up: Duration::ZERO,
            warm_up_rounds: 3,
            turn: Turn::Lasting(Duration::from_millis(1)),
            lead_in: false,
        }
    }

    #[test]
    fn one_thing_is_not_several() {
        let counted = [
            (1, "row"),
            (0, "row"),
            (1, "launch"),
            (2, "launch"),
            (1, "history"),
            (3, "history"),
        ]
        .map(|(count, noun)| counted(count, noun));
        assert_eq!(
            counted,
            [
                "1 row",
                "0 rows",
                "1 launch",
                "2 launches",
                "1 history",
                "3 histories"
            ]
        );
    }

    #[test]
    fn rows_have_the_time_of_a_step_and_the_ratio_to_the_reference() {
        let (mut contenders, turns) = contenders(false);
        let mut rounds = 0;
        let measured = run(&mut contenders, &plan(), &mut || rounds += 1).unwrap();
        assert_eq!((measured.steps, rounds), (4, 30));
        assert_eq!(turns.borrow().len(), 3 * (3 + 30));
        let rows = measured.rows(0);
        assert_eq!(rows[1].name, "b");
        assert!((rows[1].us_per_step - 250.0).abs() < 1e-6);
        assert!((rows[1].ratio_to_every_dispatch - 4.0).abs() < 1e-6);
        assert!((rows[0].ratio_to_every_dispatch - 1.0).abs() < 1e-6);
        assert_eq!((rows[1].submissions, rows[1].barriers), (2, 3));
        assert_eq!(measured.per_step(1, |it| it.launches), 5.0);
    }

    #[test]
    fn a_turn_of_fixed_steps_has_so_many_from_the_first() {
        let (mut contenders, turns) = contenders(false);
        let measured = run(&mut contenders, &Plan::of_steps(2, 7), &mut || {}).unwrap();
        assert_eq!(measured.steps, 7);
        assert_eq!(turns.borrow().len(), 3 * (1 + 2));
        assert!((measured.rows(0)[2].us_per_step - 500.0).abs() < 1e-6);
    }

    #[test]
    fn a_lead_in_is_done_and_not_measured() {
        let (mut contenders, turns) = contenders(false);
        let plan = Plan {
            lead_in: true,
            ..Plan::of_steps(2, 9)
        };
        let measured = run(&mut contenders, &plan, &mut || {}).unwrap();
        assert_eq!(turns.borrow().len(), 3 * (1 + 2 * 2));
        assert_eq!(measured.samples[0][0].submissions, 2 * 9);
    }

    #[test]
    fn a_ratio_of_times_is_the_one_over_the_other() {
        let (mut contenders, _) = contenders(false);
        let measured = run(&mut contenders, &plan(), &mut || {}).unwrap();
        let ratio = measured.ratio(0, 2);
        assert!((ratio.median - 2.0).abs() < 1e-9);
        assert!(ratio.low <= ratio.median && ratio.median <= ratio.high);
        assert!((measured.difference(0, 2).median - 500.0).abs() < 1e-6);
    }

    #[test]
    fn a_wrong_result_is_an_error() {
        let (mut contenders, _) = contenders(true);
        assert!(run(&mut contenders, &plan(), &mut || {}).is_err());
    }

    #[test]
    fn everybody_has_one_turn_a_round_and_every_place_in_the_order() {
        let mut places = [[0; 6]; 6];
        for round in 0..12 {
            let mut order: Vec<usize> = (0..6).map(|turn| position(round, turn, 6)).collect();
            for (place, contender) in order.iter().enumerate() {
                places[*contender][place] += 1;
            }
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3, 4, 5]);
        }
        assert_eq!(places, [[2; 6]; 6]);
    }

    #[test]
    fn quantiles_lie_between_the_values() {
        assert_eq!(quantile(&[1.0], 0.9), 1.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0, 8.0], 0.5), 3.0);
    }

    #[test]
    fn the_interval_has_the_ranks_of_the_binomial_distribution() {
        // Tables give the 10th and 21st of 30 values, at 95.7 %.
        let values: Vec<f64> = (1..=30).map(f64::from).collect();
        assert_eq!(median_interval(&values), (10.0, 21.0));
        assert_eq!(median_interval(&[1.0]), (1.0, 1.0));
    }
}

//! What the options may be. `cargo xtask soak` checks by the same file, before it builds.

use std::ops::{Range, RangeInclusive};

/// Calls of a history.
pub(crate) const COMMANDS: RangeInclusive<i64> = 1..=1_000_000;
pub(crate) const THREADS: RangeInclusive<i64> = 1..=256;
/// A year, so that it fits a duration.
const MINUTES_MAX: f64 = 525_600.0;

/// `A..B`, or one seed.
pub(crate) fn seeds(text: &str) -> Result<Range<u64>, String> {
    let number = |it: &str| {
        let digits = it.trim().replace('_', "");
        digits
            .parse::<u64>()
            .map_err(|_| format!("`{it}` is no seed; give a number from 0 on, or two as in 3..8"))
    };
    let range = match text.split_once("..") {
        Some((first, end)) => number(first)?..number(end)?,
        None => {
            let seed = number(text)?;
            seed..seed.saturating_add(1)
        }
    };
    if range.is_empty() {
        return Err("no seed lies in it; the first must be below the second".to_owned());
    }
    Ok(range)
}

/// Above 0.
pub(crate) fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(it) if it > 0.0 && it <= MINUTES_MAX => Ok(it),
        _ => Err("a number above 0 and up to 525600 is needed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_range_or_one() {
        assert_eq!(seeds("3..10_000"), Ok(3..10_000));
        assert_eq!(seeds("7"), Ok(7..8));
        for wrong in ["", "a", "5..5", "6..5", "1..", "-1..4"] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn minutes_are_above_nothing() {
        assert_eq!(minutes("0.5"), Ok(0.5));
        for wrong in ["0", "-1", "inf", "nan", "x"] {
            assert!(minutes(wrong).is_err(), "{wrong}");
        }
    }
}

//! The rows as bars, in SVG.

use std::fmt::Write as _;

use crate::report::{Document, Outcome};

const WIDTH: f64 = 900.0;
/// Where bars begin.
const LEFT: f64 = 190.0;
/// Where the longest bar ends; figures come after it.
const RIGHT: f64 = 700.0;
const ROW: f64 = 18.0;
const TITLE: f64 = 34.0;

/// One group of bars a workload, each on a scale of its own.
pub fn svg(document: &Document) -> String {
    let mut body = String::new();
    let mut y = 50.0;
    for outcome in &document.workloads {
        y = group(&mut body, outcome, y);
    }
    let title = escaped(&document.machine.line());
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y:.0}\" viewBox=\"0 0 {WIDTH} {y:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"13\" font-weight=\"bold\">Microseconds a step; shorter is better</text>\n\
         <text x=\"10\" y=\"38\" fill=\"#555\" font-size=\"11\">{title}</text>\n{body}</svg>\n"
    )
}

fn group(body: &mut String, outcome: &Outcome, top: f64) -> f64 {
    let longest = outcome
        .rows
        .iter()
        .map(|it| it.us_per_step)
        .fold(f64::MIN_POSITIVE, f64::max);
    let mut y = top + TITLE;
    let (name, about) = (escaped(&outcome.name), escaped(&outcome.about));
    let _ = writeln!(
        body,
        "<text x=\"10\" y=\"{:.0}\"><tspan font-weight=\"bold\">{name}</tspan> <tspan fill=\"#555\">{about}</tspan></text>",
        y - 12.0
    );
    for row in &outcome.rows {
        let length = |us: f64| (RIGHT - LEFT) * (us / longest).min(1.1);
        let (low, high) = (
            LEFT + length(row.us_per_step_low),
            LEFT + length(row.us_per_step_high),
        );
        let middle = y + ROW / 2.0;
        let _ = writeln!(
            body,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{:.0}\" width=\"{:.1}\" height=\"{:.0}\" fill=\"{}\"/>\
             <path d=\"M{low:.1} {middle:.0}H{high:.1}\" stroke=\"#222\"/>\
             <text x=\"{:.1}\" y=\"{:.0}\">{:.1} ({:.2} × {})</text>",
            LEFT - 6.0,
            middle + 4.0,
            escaped(row.name),
            y + 2.0,
            length(row.us_per_step),
            ROW - 4.0,
            colour(row.name),
            high.max(LEFT + length(row.us_per_step)) + 6.0,
            middle + 4.0,
            row.us_per_step,
            row.relative.median,
            escaped(outcome.reference),
        );
        y += ROW;
    }
    y + 6.0
}

fn colour(row: &str) -> &'static str {
    match row.split('-').next() {
        Some("raw") => "#9aa5b1",
        Some("wgpu") => "#e0a458",
        _ => "#2a7f9e",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

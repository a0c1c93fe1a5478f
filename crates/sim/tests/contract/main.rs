//! The contract, rule by rule: each is shown to hold when kept and to show when broken.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, too, may stop at the first surprise"
)]

mod faults;
mod histories;
mod host;
mod hostile;
mod misuse;
mod order;
mod queues;
mod support;

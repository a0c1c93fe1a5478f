//! Every row of every workload does a step and gives the right result, on whatever device there is.

use std::cell::OnceCell;

use tidegate::{Device, Options};
use tidegate_bench::raw::Family;
use tidegate_bench::workloads::{Bench, Workload};

#[test]
fn every_row_gives_the_right_result() {
    let options = Options::default();
    let device = Device::open(&options).unwrap();
    let software = device.capabilities().software;
    let bench = Bench {
        device,
        options,
        family: Family::Compute,
        peer: OnceCell::new(),
        rows: Vec::new(),
    };
    for workload in Workload::all(&[16], software) {
        let mut names = Vec::new();
        for mut row in workload.rows(&bench).unwrap() {
            row.run(2).unwrap();
            row.check()
                .unwrap_or_else(|error| panic!("{}: {error:#}", workload.name));
            names.push(row.name());
        }
        assert!(
            names.contains(&workload.reference),
            "{}: {names:?}",
            workload.name
        );
    }
}

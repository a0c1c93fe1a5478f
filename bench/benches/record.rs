//! What recording one launch costs the CPU: `cargo bench` in this folder. A step is 262 launches and counts as so many items, so that the figure to read is time over items.
//!
//! `*_record` records, `*_record_and_submit` also encodes and hands over. The wait for the device is outside of the clock.

use std::cell::RefCell;
use std::rc::Rc;

use divan::counter::ItemsCount;
use divan::{Bencher, Divan};
use tidegate::{Device, Options};
use tidegate_bench::raw::{Family, Gpu, RawWork, RecordOnly, Signal};
use tidegate_bench::script::{self, LAUNCHES};
use tidegate_bench::tide::Recording;

const WORKGROUPS: u32 = 16;
const FAILED: &str = "the device does what the benchmark asks";

fn main() {
    Divan::from_args().main();
}

fn recording(flushes: bool) -> Recording {
    let device = Device::open(&Options::default()).expect(FAILED);
    let script = script::chain(LAUNCHES, WORKGROUPS);
    Recording::new(&device, &script, flushes).expect(FAILED)
}

fn raw() -> RecordOnly {
    let device = Device::open(&Options::default()).expect(FAILED);
    let gpu = Gpu::open(
        &device.capabilities().name,
        Family::Compute,
        Signal::Timeline,
    )
    .expect(FAILED);
    let script = script::chain(LAUNCHES, WORKGROUPS);
    let work = RawWork::new(&Rc::new(gpu), &script).expect(FAILED);
    RecordOnly::new(&Rc::new(RefCell::new(work)))
}

fn tidegate(bencher: Bencher<'_, '_>, flushes: bool) {
    let recording = RefCell::new(recording(flushes));
    bencher
        .counter(ItemsCount::new(LAUNCHES))
        .with_inputs(|| recording.borrow_mut().wait().expect(FAILED))
        .bench_local_values(|()| recording.borrow_mut().record().expect(FAILED));
    recording.borrow_mut().wait().expect(FAILED);
}

#[divan::bench(sample_size = 1, sample_count = 1000)]
fn tidegate_record(bencher: Bencher<'_, '_>) {
    tidegate(bencher, false);
}

#[divan::bench(sample_size = 1, sample_count = 1000)]
fn tidegate_record_and_submit(bencher: Bencher<'_, '_>) {
    tidegate(bencher, true);
}

#[divan::bench(sample_size = 1, sample_count = 1000)]
fn raw_record(bencher: Bencher<'_, '_>) {
    let raw = raw();
    bencher
        .counter(ItemsCount::new(LAUNCHES))
        .bench_local(|| raw.record().expect(FAILED));
}

#[divan::bench(sample_size = 1, sample_count = 1000)]
fn raw_record_and_submit(bencher: Bencher<'_, '_>) {
    let raw = raw();
    let waits = RefCell::new(false);
    bencher
        .counter(ItemsCount::new(LAUNCHES))
        .with_inputs(|| {
            // Each submission but the first follows one that has to be over.
            if waits.replace(true) {
                raw.wait().expect(FAILED);
            }
        })
        .bench_local_values(|()| raw.submit().expect(FAILED));
    raw.wait().expect(FAILED);
}

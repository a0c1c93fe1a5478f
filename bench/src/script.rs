//! A step's work as data, so that everybody does the same.

use std::fmt;
use std::rc::Rc;

use crate::affine::Affine;

/// Part of a store: what a launch binds and what is read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Which of [`Script::stores`].
    pub store: usize,
    /// Which of its slots.
    pub slot: u32,
}

/// Memory in slots of equal size.
#[derive(Clone, Copy, Debug)]
pub struct Store {
    /// Words of a slot.
    pub words: u32,
    /// Slots, each a buffer of its own where that is how one would do it.
    pub slots: u32,
    /// What word `i` of a slot holds at first.
    pub first: fn(slot: u32, i: u32) -> u32,
}

impl Store {
    /// A slot's first content.
    pub fn content(&self, slot: u32) -> Vec<u32> {
        (0..self.words).map(|i| (self.first)(slot, i)).collect()
    }
}

/// An entry point of [`Script::source`], with bindings 0 and on of group 0.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// Its name.
    pub name: &'static str,
    /// Whether it writes each binding.
    pub writes: &'static [bool],
    /// Whether it takes a word of `var<immediate>`.
    pub immediate: bool,
}

/// One launch.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Which of [`Script::kernels`].
    pub kernel: usize,
    /// What its bindings are.
    pub places: Vec<Place>,
    /// Its immediate.
    pub scalar: Option<u32>,
    /// It takes this one of the step's parameters as its scalar, so that a graph must be told before each launch of it.
    pub parameter: Option<u32>,
    /// Whether it needs what an earlier launch of the step wrote.
    pub depends: bool,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Op {
    /// Launches a kernel.
    Launch(Launch),
    /// Puts this one of the step's parameters into [`Script::parameters`].
    Upload(u32),
}

/// What must be in which place after so many steps.
pub type Expect = Box<dyn Fn(u64) -> Vec<(Place, Vec<u32>)>>;

/// A step's work.
pub struct Script {
    /// WGSL.
    pub source: &'static str,
    /// Its kernels.
    pub kernels: Vec<Kernel>,
    /// The memory.
    pub stores: Vec<Store>,
    /// The store of one word that [`Op::Upload`] writes.
    pub parameters: Option<usize>,
    /// Workgroups of each launch.
    pub workgroups: u32,
    /// The commands of a step.
    pub ops: Vec<Op>,
    /// The right results.
    pub expect: Expect,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("kernels", &self.kernels)
            .field("ops", &self.ops.len())
            .finish_non_exhaustive()
    }
}

/// Launches of a step.
pub const LAUNCHES: u32 = 262;
/// Launches from one upload to the next.
pub const UPLOAD_EVERY: u32 = 10;
/// Invocations of a workgroup, as in every source here.
pub const WORKGROUP: u32 = 64;
const OFFSET: u32 = 1_013_904_223;

/// Parameter `index` of step `step`.
pub fn parameter(step: u64, index: u32) -> u32 {
    (step as u32)
        .wrapping_mul(2_654_435_761)
        .wrapping_add(index.wrapping_mul(40_503) + 1)
}

fn place(store: usize, slot: u32) -> Place {
    Place { store, slot }
}

fn counting(_: u32, i: u32) -> u32 {
    i
}

fn scattered(slot: u32, i: u32) -> u32 {
    (i ^ slot.wrapping_mul(0x0001_0101)).wrapping_mul(0x9E37_79B1)
}

/// Launches of which each needs the result of the one before: `x = x * a + b`.
pub fn chain(launches: u32, workgroups: u32) -> Rc<Script> {
    let words = workgroups * WORKGROUP;
    let launch = Launch {
        kernel: 0,
        places: vec![place(0, 0)],
        scalar: None,
        parameter: None,
        depends: true,
    };
    Rc::new(Script {
        source: "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(64)
fn chain(@builtin(global_invocation_id) id: vec3<u32>) {
    x[id.x] = x[id.x] * 1664525u + 1013904223u;
}",
        kernels: vec![Kernel {
            name: "chain",
            writes: &[true],
            immediate: false,
        }],
        stores: vec![Store {
            words,
            slots: 1,
            first: counting,
        }],
        parameters: None,
        workgroups,
        ops: vec![Op::Launch(launch); launches as usize],
        expect: Box::new(move |steps| {
            let all = Affine::launch(OFFSET).times(u64::from(launches) * steps);
            vec![(place(0, 0), (0..words).map(|x| all.of(x)).collect())]
        }),
    })
}

/// As [`chain`], but each launch has a slot of its own: none needs another.
pub fn independent(launches: u32, workgroups: u32) -> Rc<Script> {
    let words = workgroups * WORKGROUP;
    let like = chain(1, workgroups);
    let launch = |slot| {
        Op::Launch(Launch {
            kernel: 0,
            places: vec![place(0, slot)],
            scalar: None,
            parameter: None,
            depends: false,
        })
    };
    Rc::new(Script {
        source: like.source,
        kernels: like.kernels.clone(),
        stores: vec![Store {
            words,
            slots: launches,
            first: scattered,
        }],
        parameters: None,
        workgroups,
        ops: (0..launches).map(launch).collect(),
        expect: Box::new(move |steps| {
            let all = Affine::launch(OFFSET).times(steps);
            let slot = |slot| (0..words).map(|i| all.of(scattered(slot, i))).collect();
            (0..launches).map(|it| (place(0, it), slot(it))).collect()
        }),
    })
}

/// A ring of slots: launch k reads slot k and a weight of its own and takes a scalar, and writes slot k + 1.
pub fn distinct(launches: u32, workgroups: u32) -> Rc<Script> {
    let words = workgroups * WORKGROUP;
    let launch = |slot: u32| {
        let next = (slot + 1) % launches;
        Op::Launch(Launch {
            kernel: 0,
            places: vec![place(0, slot), place(1, slot), place(0, next)],
            scalar: Some(slot * 7 + 1),
            parameter: None,
            depends: true,
        })
    };
    Rc::new(Script {
        source: "
@group(0) @binding(0) var<storage> before: array<u32>;
@group(0) @binding(1) var<storage> weight: array<u32>;
@group(0) @binding(2) var<storage, read_write> after: array<u32>;
var<immediate> c: u32;
@compute @workgroup_size(64)
fn distinct(@builtin(global_invocation_id) id: vec3<u32>) {
    after[id.x] = before[id.x] * 1664525u + weight[id.x] + c;
}",
        kernels: vec![Kernel {
            name: "distinct",
            writes: &[false, false, true],
            immediate: true,
        }],
        stores: vec![
            Store {
                words,
                slots: launches,
                first: counting,
            },
            Store {
                words,
                slots: launches,
                first: scattered,
            },
        ],
        parameters: None,
        workgroups,
        ops: (0..launches).map(launch).collect(),
        expect: Box::new(move |steps| distinct_after(steps, launches, words)),
    })
}

fn distinct_after(steps: u64, launches: u32, words: u32) -> Vec<(Place, Vec<u32>)> {
    let one = |slot: u32, i| Affine::launch(scattered(slot, i).wrapping_add(slot * 7 + 1));
    let mut places: Vec<_> = (0..launches)
        .map(|slot| (place(0, slot), vec![0; words as usize]))
        .collect();
    for i in 0..words {
        let step = (0..launches).fold(Affine::IDENTITY, |all, slot| all.then(one(slot, i)));
        // The last step, launch by launch, from what the ones before left in slot 0.
        let mut x = step.times(steps.saturating_sub(1)).of(i);
        for slot in 0..launches {
            x = one(slot, i).of(x);
            places[((slot + 1) % launches) as usize].1[i as usize] = x;
        }
    }
    places
}

const UPLOADS: &str = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@group(0) @binding(1) var<storage> p: array<u32>;
@group(0) @binding(1) var<storage, read_write> q: array<u32>;
@group(0) @binding(2) var<uniform> s: u32;
@compute @workgroup_size(64)
fn add(@builtin(global_invocation_id) id: vec3<u32>) {
    x[id.x] = x[id.x] * 1664525u + p[0];
}
@compute @workgroup_size(64)
fn take(@builtin(global_invocation_id) id: vec3<u32>) {
    x[id.x] = x[id.x] * 1664525u + s;
    if id.x == 0u { q[0] = s; }
}";

/// A chain whose every launch reads a word, and before every tenth that word is uploaded.
pub fn uploads(launches: u32, workgroups: u32) -> Rc<Script> {
    uploads_by(launches, workgroups, |index, launch| {
        let upload = index % UPLOAD_EVERY == 0;
        let op = upload.then_some(Op::Upload(index / UPLOAD_EVERY));
        op.into_iter().chain([Op::Launch(launch)]).collect()
    })
}

/// The same results, but every tenth launch has the word as an argument and passes it on: for graphs whose arguments change.
pub fn arguments(launches: u32, workgroups: u32) -> Rc<Script> {
    uploads_by(launches, workgroups, |index, mut launch| {
        if index % UPLOAD_EVERY == 0 {
            launch.kernel = 1;
            launch.scalar = Some(0);
            launch.parameter = Some(index / UPLOAD_EVERY);
        }
        vec![Op::Launch(launch)]
    })
}

fn uploads_by(launches: u32, workgroups: u32, ops: impl Fn(u32, Launch) -> Vec<Op>) -> Rc<Script> {
    let words = workgroups * WORKGROUP;
    let launch = Launch {
        kernel: 0,
        places: vec![place(0, 0), place(1, 0)],
        scalar: None,
        parameter: None,
        depends: true,
    };
    Rc::new(Script {
        source: UPLOADS,
        kernels: vec![
            Kernel {
                name: "add",
                writes: &[true, false],
                immediate: false,
            },
            Kernel {
                name: "take",
                writes: &[true, true],
                immediate: false,
            },
        ],
        stores: vec![
            Store {
                words,
                slots: 1,
                first: counting,
            },
            Store {
                words: 1,
                slots: 1,
                first: counting,
            },
        ],
        parameters: Some(1),
        workgroups,
        ops: (0..launches)
            .flat_map(|it| ops(it, launch.clone()))
            .collect(),
        expect: Box::new(move |steps| {
            let one = |(step, index)| Affine::launch(parameter(step, index / UPLOAD_EVERY));
            let all = (0..steps).flat_map(|step| (0..launches).map(move |it| (step, it)));
            let all = all.fold(Affine::IDENTITY, |all, it| all.then(one(it)));
            vec![(place(0, 0), (0..words).map(|x| all.of(x)).collect())]
        }),
    })
}

/// A chain whose every launch also fills a scratch buffer, which may be a new one each time.
pub fn scratch(launches: u32, workgroups: u32) -> Rc<Script> {
    let words = workgroups * WORKGROUP;
    let launch = Launch {
        kernel: 0,
        places: vec![place(0, 0), place(1, 0)],
        scalar: None,
        parameter: None,
        depends: true,
    };
    let store = Store {
        words,
        slots: 1,
        first: counting,
    };
    Rc::new(Script {
        source: "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> t: array<u32>;
@compute @workgroup_size(64)
fn spill(@builtin(global_invocation_id) id: vec3<u32>) {
    t[id.x] = x[id.x];
    x[id.x] = x[id.x] * 1664525u + 1013904223u;
}",
        kernels: vec![Kernel {
            name: "spill",
            writes: &[true, true],
            immediate: false,
        }],
        stores: vec![store, store],
        parameters: None,
        workgroups,
        ops: vec![Op::Launch(launch); launches as usize],
        expect: Box::new(move |steps| {
            let all = Affine::launch(OFFSET).times(u64::from(launches) * steps);
            vec![(place(0, 0), (0..words).map(|x| all.of(x)).collect())]
        }),
    })
}

/// Workgroups of a launch of [`weights`], each of whose invocations reads 64 bytes: 4 MiB together.
const WEIGHTS_WORKGROUPS: u32 = 1024;

/// A chain whose every launch also reads 4 MiB that no other launch reads.
pub fn weights(launches: u32) -> Rc<Script> {
    let words = WEIGHTS_WORKGROUPS * WORKGROUP;
    let launch = |slot| {
        Op::Launch(Launch {
            kernel: 0,
            places: vec![place(0, 0), place(1, slot)],
            scalar: None,
            parameter: None,
            depends: true,
        })
    };
    let step: std::cell::OnceCell<Vec<Affine>> = std::cell::OnceCell::new();
    Rc::new(Script {
        source: "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@group(0) @binding(1) var<storage> w: array<vec4<u32>>;
@compute @workgroup_size(64)
fn weights(@builtin(global_invocation_id) id: vec3<u32>) {
    let sum = w[id.x] + w[id.x + 65536u] + w[id.x + 131072u] + w[id.x + 196608u];
    x[id.x] = x[id.x] * 1664525u + sum.x + sum.y + sum.z + sum.w;
}",
        kernels: vec![Kernel {
            name: "weights",
            writes: &[true, false],
            immediate: false,
        }],
        stores: vec![
            Store {
                words,
                slots: 1,
                first: counting,
            },
            Store {
                words: words * 16,
                slots: launches,
                first: scattered,
            },
        ],
        parameters: None,
        workgroups: WEIGHTS_WORKGROUPS,
        ops: (0..launches).map(launch).collect(),
        expect: Box::new(move |steps| {
            let step = step.get_or_init(|| {
                (0..words)
                    .map(|i| weights_step(launches, words, i))
                    .collect()
            });
            let result = |(x, it): (u32, &Affine)| it.times(steps).of(x);
            vec![(place(0, 0), (0..).zip(step).map(result).collect())]
        }),
    })
}

/// What one step does to word `i`.
fn weights_step(launches: u32, words: u32, i: u32) -> Affine {
    (0..launches).fold(Affine::IDENTITY, |all, slot| {
        let vectors = (0..4).map(|it| 4 * (i + it * words));
        let sum = vectors
            .flat_map(|it| it..it + 4)
            .fold(0, |sum: u32, word| sum.wrapping_add(scattered(slot, word)));
        all.then(Affine::launch(sum))
    })
}

/// Words that differ, of which each step reads another one. What was read is mixed into one word, so that each readback is checked.
pub fn readback() -> Rc<Script> {
    let words = 1024;
    Rc::new(Script {
        source: "",
        kernels: Vec::new(),
        stores: vec![Store {
            words,
            slots: 1,
            first: scattered,
        }],
        parameters: None,
        workgroups: 0,
        ops: Vec::new(),
        expect: Box::new(move |steps| {
            let read = |step| scattered(0, (step % u64::from(words)) as u32);
            vec![(place(0, 0), vec![(0..steps).map(read).fold(0, mix)])]
        }),
    })
}

/// Adds a word that was read to those before it.
pub fn mix(all: u32, word: u32) -> u32 {
    all.rotate_left(1) ^ word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_those_of_the_sources() {
        let launch = Affine::launch(OFFSET);
        let script = chain(1, 1);
        assert!(script.source.contains(&format!("{}u", launch.factor)));
        assert!(script.source.contains(&format!("{}u", launch.offset)));
    }

    #[test]
    fn a_ring_of_slots_ends_where_each_launch_leads() {
        let (launches, words) = (5, 2);
        let mut slots = vec![vec![0, 1]; launches as usize];
        for _ in 0..3 {
            for slot in 0..launches {
                for i in 0..words {
                    let add = scattered(slot, i).wrapping_add(slot * 7 + 1);
                    let x = Affine::launch(add).of(slots[slot as usize][i as usize]);
                    slots[((slot + 1) % launches) as usize][i as usize] = x;
                }
            }
        }
        for (place, words) in distinct_after(3, launches, words) {
            assert_eq!(slots[place.slot as usize], words);
        }
    }

    #[test]
    fn arguments_do_what_uploads_do() {
        let (by_upload, by_argument) = (uploads(21, 1), arguments(21, 1));
        assert_eq!((by_upload.expect)(2), (by_argument.expect)(2));
        let uploaded = by_upload
            .ops
            .iter()
            .filter(|it| matches!(it, Op::Upload(_)));
        assert_eq!(uploaded.count(), 3);
        let taken = by_argument
            .ops
            .iter()
            .filter(|it| matches!(it, Op::Launch(launch) if launch.parameter.is_some()));
        assert_eq!(taken.count(), 3);
    }
}

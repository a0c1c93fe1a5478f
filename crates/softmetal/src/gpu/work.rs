//! What the device does: copies, fills and dispatches.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use crate::gpu::fiber::{Group, GroupFault};
use crate::kernel::{Call, Kernel};
use crate::metal::lifetime::Claim;
use crate::metal::memory::Use;

/// One command of an encoder.
#[derive(Debug)]
pub(crate) enum Work {
    /// Copies bytes.
    Copy {
        source: Use,
        target: Use,
        bytes: usize,
    },
    /// Fills bytes.
    Fill {
        target: Use,
        bytes: usize,
        value: u8,
    },
    /// Runs a kernel.
    Dispatch(Dispatch),
}

/// What is bound to a slot.
#[derive(Debug)]
pub(crate) enum Bound {
    /// A buffer.
    Buffer(Use),
    /// Bytes that `setBytes` copied, aligned as any type needs.
    Bytes(Arc<[u128]>),
}

/// A kernel, its arguments and its grid.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) pipeline: Claim,
    pub(crate) bound: Vec<Option<Bound>>,
    /// Bytes of threadgroup memory, by index.
    pub(crate) threadgroup: Vec<usize>,
    pub(crate) groups: [u32; 3],
    pub(crate) size: [u32; 3],
    pub(crate) order: Order,
}

/// The order of a dispatch's threadgroups, and of the threads of one: Metal promises none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) seed: u64,
}

impl Order {
    /// The threadgroup at a place of the order.
    fn group(self, place: u32, count: u32) -> u32 {
        match self.seed % 3 {
            0 => place,
            1 => count - 1 - place,
            _ => {
                // An odd step visits every threadgroup of a power of two; the rest of them are skipped.
                let all = u64::from(count.next_power_of_two());
                let step = (self.seed >> 8) | 1;
                let mut at = u64::from(place);
                loop {
                    at = (at.wrapping_mul(step) + (self.seed >> 40)) & (all - 1);
                    if at < u64::from(count) {
                        return u32::try_from(at).unwrap_or(place);
                    }
                }
            }
        }
    }

    fn backwards(self) -> bool {
        self.seed & 0x10 != 0
    }
}

impl Work {
    /// Its claims on objects.
    pub(crate) fn claims(&self) -> Vec<&Claim> {
        let mut claims: Vec<&Claim> = self.uses().into_iter().map(|it| &it.claim).collect();
        if let Self::Dispatch(it) = self {
            claims.push(&it.pipeline);
        }
        claims
    }

    /// Every buffer that it uses.
    pub(crate) fn uses(&self) -> Vec<&Use> {
        match self {
            Self::Copy { source, target, .. } => vec![source, target],
            Self::Fill { target, .. } => vec![target],
            Self::Dispatch(it) => {
                let mut uses = Vec::new();
                for bound in it.bound.iter().flatten() {
                    if let Bound::Buffer(it) = bound {
                        uses.push(it);
                    }
                }
                uses
            }
        }
    }

    /// Parts that can be run one by one: the threadgroups of a dispatch.
    pub(crate) fn parts(&self) -> u32 {
        match self {
            Self::Dispatch(it) => it.groups.iter().product(),
            _ => 1,
        }
    }
}

/// Two threads that run commands: the device's own and a second.
pub(crate) struct Runner {
    own: Lane,
    second: Option<Second>,
}

struct Second {
    jobs: mpsc::Sender<Job>,
    done: mpsc::Receiver<Result<(), GroupFault>>,
    thread: JoinHandle<()>,
}

/// What a thread keeps from one threadgroup to the next.
struct Lane {
    group: Group,
    scratch: Vec<Vec<u128>>,
}

/// A part of a dispatch that both threads take threadgroups from.
#[derive(Clone)]
struct Job {
    dispatch: *const Dispatch,
    next: Arc<AtomicU32>,
    end: u32,
}

// SAFETY: the dispatch outlives the job, since whoever sends one waits for its answer; kernels reach the memory as they would on a GPU.
unsafe impl Send for Job {}

/// Threads from which on the second is worth waking.
const SHARED_THREADS: u64 = 4096;

impl Runner {
    pub(crate) fn new() -> Self {
        Self {
            own: Lane::new(),
            second: None,
        }
    }

    /// Runs parts `range` of a command.
    pub(crate) fn run(
        &mut self,
        work: &Work,
        range: std::ops::Range<u32>,
    ) -> Result<(), GroupFault> {
        match work {
            Work::Copy {
                source,
                target,
                bytes,
            } => {
                // SAFETY: both ranges were checked when the command was encoded, and their memory is held.
                unsafe { target.bytes().copy_from(source.bytes(), *bytes) };
                Ok(())
            }
            Work::Fill {
                target,
                bytes,
                value,
            } => {
                // SAFETY: as above.
                unsafe { target.bytes().write_bytes(*value, *bytes) };
                Ok(())
            }
            Work::Dispatch(dispatch) => self.dispatch(dispatch, range),
        }
    }

    fn dispatch(
        &mut self,
        dispatch: &Dispatch,
        range: std::ops::Range<u32>,
    ) -> Result<(), GroupFault> {
        let threads = dispatch
            .size
            .iter()
            .map(|it| u64::from(*it))
            .product::<u64>();
        let job = Job {
            dispatch,
            next: Arc::new(AtomicU32::new(range.start)),
            end: range.end,
        };
        if threads * u64::from(range.end - range.start) < SHARED_THREADS {
            return self.own.run(&job);
        }
        let second = self.second.get_or_insert_with(Second::new);
        let sent = second.jobs.send(job.clone()).is_ok();
        let own = self.own.run(&job);
        if !sent {
            return own;
        }
        second.done.recv().unwrap_or(Ok(())).and(own)
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if let Some(second) = self.second.take() {
            drop(second.jobs);
            let _ = second.thread.join();
        }
    }
}

impl Second {
    fn new() -> Self {
        let (jobs, receive) = mpsc::channel::<Job>();
        let (send, done) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut lane = Lane::new();
            for job in receive {
                if send.send(lane.run(&job)).is_err() {
                    return;
                }
            }
        });
        Self { jobs, done, thread }
    }
}

/// Fresh threadgroup memory is not zero.
const FRESH: u128 = 0xa5a5_a5a5_a5a5_a5a5_a5a5_a5a5_a5a5_a5a5;

impl Lane {
    fn new() -> Self {
        Self {
            group: Group::new(),
            scratch: Vec::new(),
        }
    }

    fn run(&mut self, job: &Job) -> Result<(), GroupFault> {
        // SAFETY: whoever made the job holds the dispatch until it has this answer.
        let it = unsafe { &*job.dispatch };
        self.scratch.resize_with(it.threadgroup.len(), Vec::new);
        for (memory, bytes) in self.scratch.iter_mut().zip(&it.threadgroup) {
            memory.resize(bytes.div_ceil(16), FRESH);
        }
        let threadgroups: Vec<*mut u8> = self
            .scratch
            .iter_mut()
            .map(|it| it.as_mut_ptr().cast())
            .collect();
        let buffers: Vec<*mut u8> = it.bound.iter().map(Bound::address).collect();
        let call = Call {
            buffers: buffers.as_ptr(),
            threadgroups: threadgroups.as_ptr(),
            size: it.size,
            groups: it.groups,
        };
        let count: u32 = it.groups.iter().product();
        loop {
            let place = job.next.fetch_add(1, Ordering::Relaxed);
            if place >= job.end {
                return Ok(());
            }
            let at = it.order.group(place, count);
            let [x, y, _] = it.groups;
            let group = [at % x, at / x % y, at / (x * y)];
            for memory in &mut self.scratch {
                memory.fill(FRESH);
            }
            if it.kernel.waits {
                self.group
                    .run(&it.kernel, &call, group, it.order.backwards())?;
            } else {
                // SAFETY: every argument that the kernel takes was checked when the command was encoded.
                unsafe { (it.kernel.run_group)(&raw const call, group.as_ptr()) };
            }
        }
    }
}

impl Bound {
    fn address(bound: &Option<Self>) -> *mut u8 {
        match bound {
            Some(Self::Buffer(it)) => it.bytes(),
            Some(Self::Bytes(it)) => it.as_ptr().cast_mut().cast(),
            None => std::ptr::null_mut(),
        }
    }
}

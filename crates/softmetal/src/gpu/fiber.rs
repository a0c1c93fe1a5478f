//! Threads of a threadgroup as fibers of one thread of the host, so that one can wait for the others.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::null_mut;

use crate::kernel::{Call, Ids, Kernel};

#[cfg(not(target_arch = "x86_64"))]
compile_error!("the software Metal's fibers are written for x86_64");

/// What kernels call. As `soft_host` in `soft_sync.h`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Host {
    barrier: extern "C" fn(),
    exchange: extern "C" fn(*const c_void, *const u8, u32, *mut u8, *mut u32) -> u64,
}

pub(crate) const HOST: Host = Host { barrier, exchange };

/// Lanes of a SIMD-group.
const LANES: usize = 32;
/// The largest value that lanes exchange.
const VALUE_BYTES: usize = 16;
const STACK_BYTES: usize = 64 << 10;
/// Stacks begin at different distances from their ends: at one and the same, the caches of most CPUs have room for the first lines of a dozen.
const STAGGER: usize = 320;
/// Stands at the far end of each stack; gone if a thread used it all.
const CANARY: u64 = 0x7469_6465_6761_7465;

/// What went wrong in a threadgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupFault {
    /// Some threads ended and others wait at a barrier.
    DivergentBarrier,
    /// A thread used up its stack.
    Stack,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    AtBarrier,
    /// At a function of its SIMD-group: the place, and the size of the value.
    AtExchange(*const c_void, u32),
    Done,
}

struct Fiber {
    stack: *mut u8,
    /// Where it stopped.
    top: *mut u8,
    state: State,
    value: [u8; VALUE_BYTES],
    /// Lanes that came to the same place, once it may go on.
    active: u64,
    ids: Ids,
}

impl Drop for Fiber {
    fn drop(&mut self) {
        // SAFETY: allocated in `Group::grow` with this layout; nothing runs on it.
        unsafe { dealloc(self.stack, stack_layout()) };
    }
}

fn stack_layout() -> Layout {
    Layout::from_size_align(STACK_BYTES, 64).unwrap_or_else(|_| std::process::abort())
}

/// A threadgroup's fibers, kept from one to the next.
pub(crate) struct Group {
    fibers: Vec<Fiber>,
    /// Where the host's own stack stopped.
    home: *mut u8,
    current: usize,
    kernel: *const Kernel,
    call: *const Call,
    /// Values of a SIMD-group's lanes, side by side, for those that were just let go.
    released: Vec<[u8; LANES * VALUE_BYTES]>,
}

// SAFETY: its pointers are to memory of its own, or to what `run` borrows while it runs.
unsafe impl Send for Group {}

thread_local! {
    static CURRENT: Cell<*mut Group> = const { Cell::new(null_mut()) };
}

/// Saves the registers that a function must keep, and goes on where another stack stopped.
#[unsafe(naked)]
unsafe extern "sysv64" fn switch(save: *mut *mut u8, to: *mut u8) {
    std::arch::naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Where a fiber begins.
extern "sysv64" fn enter() -> ! {
    let group = CURRENT.get();
    // SAFETY: a fiber runs only inside `Group::run`, on the thread that set `CURRENT`; one fiber runs at a time, and the host's stack waits.
    unsafe {
        let index = (*group).current;
        let fiber = &raw mut (&mut (*group).fibers)[index];
        ((*(*group).kernel).run_thread)((*group).call, &raw const (*fiber).ids);
        (*fiber).state = State::Done;
        switch(&raw mut (*fiber).top, (*group).home);
    }
    // A fiber that is done is not run again.
    std::process::abort()
}

/// Stops the running fiber in `state` until the host lets it go on. Gives the group and the fiber's place.
fn wait(state: impl FnOnce(&mut Fiber) -> State) -> (*mut Group, usize) {
    let group = CURRENT.get();
    // SAFETY: as in `enter`. No reference is held over the switch.
    unsafe {
        let index = (*group).current;
        let fiber = &raw mut (&mut (*group).fibers)[index];
        (*fiber).state = state(&mut *fiber);
        switch(&raw mut (*fiber).top, (*group).home);
        (group, index)
    }
}

extern "C" fn barrier() {
    wait(|_| State::AtBarrier);
}

extern "C" fn exchange(
    site: *const c_void,
    value: *const u8,
    bytes: u32,
    values: *mut u8,
    lane: *mut u32,
) -> u64 {
    let len = (bytes as usize).min(VALUE_BYTES);
    let (group, index) = wait(|fiber| {
        // SAFETY: the kernel passes a value of that size, and there is room for it.
        unsafe { value.copy_to_nonoverlapping(fiber.value.as_mut_ptr(), len) };
        State::AtExchange(site, bytes)
    });
    // SAFETY: as in `enter`; the kernel has room for a value of each lane.
    unsafe {
        let fiber = &(&(*group).fibers)[index];
        let all = &(&(*group).released)[index / LANES];
        values.copy_from_nonoverlapping(all.as_ptr(), LANES * len);
        lane.write(fiber.ids.lane);
        fiber.active
    }
}

impl Group {
    pub(crate) fn new() -> Self {
        Self {
            fibers: Vec::new(),
            home: null_mut(),
            current: 0,
            kernel: std::ptr::null(),
            call: std::ptr::null(),
            released: Vec::new(),
        }
    }

    /// Runs one threadgroup. `backwards` has its threads take their turns from the last to the first: no order of them is promised.
    pub(crate) fn run(
        &mut self,
        kernel: &Kernel,
        call: &Call,
        group: [u32; 3],
        backwards: bool,
    ) -> Result<(), GroupFault> {
        let threads = call.size.iter().product::<u32>() as usize;
        self.grow(threads);
        self.kernel = kernel;
        self.call = call;
        for index in 0..threads {
            self.start(index, call, group);
        }
        CURRENT.set(self);
        let result = self.drive(threads, backwards);
        CURRENT.set(null_mut());
        let intact = |fiber: &Fiber| {
            // SAFETY: `start` wrote it there.
            unsafe { fiber.stack.cast::<u64>().read() == CANARY }
        };
        if !self.fibers[..threads].iter().all(intact) {
            return Err(GroupFault::Stack);
        }
        result
    }

    fn grow(&mut self, threads: usize) {
        while self.fibers.len() < threads {
            let layout = stack_layout();
            // SAFETY: the layout is not empty.
            let stack = unsafe { alloc(layout) };
            if stack.is_null() {
                handle_alloc_error(layout);
            }
            self.fibers.push(Fiber {
                stack,
                top: null_mut(),
                state: State::Done,
                value: [0; VALUE_BYTES],
                active: 0,
                ids: Ids::default(),
            });
        }
        let simdgroups = threads.div_ceil(LANES);
        if self.released.len() < simdgroups {
            self.released.resize(simdgroups, [0; LANES * VALUE_BYTES]);
        }
    }

    fn start(&mut self, index: usize, call: &Call, group: [u32; 3]) {
        let fiber = &mut self.fibers[index];
        let at = u32::try_from(index).unwrap_or(u32::MAX);
        let [x, y, _] = call.size;
        let local = [at % x, at / x % y, at / (x * y)];
        let along = |axis: usize| group[axis] * call.size[axis] + local[axis];
        let threads: u32 = call.size.iter().product();
        fiber.ids = Ids {
            grid: [along(0), along(1), along(2)],
            local,
            group,
            size: call.size,
            groups: call.groups,
            grid_size: std::array::from_fn(|axis| call.size[axis] * call.groups[axis]),
            index: at,
            lane: at % 32,
            simdgroup: at / 32,
            width: 32,
            simdgroups: threads.div_ceil(32),
        };
        fiber.state = State::Ready;
        // SAFETY: inside the stack. `switch` takes six registers and an address from the top; a function begins with the stack at 8 beyond a multiple of 16.
        unsafe {
            fiber.stack.cast::<u64>().write(CANARY);
            let top = fiber
                .stack
                .add(STACK_BYTES - 128 - STAGGER * (index % 64))
                .cast::<usize>();
            for register in 0..6 {
                top.add(register).write(0);
            }
            let entry: extern "sysv64" fn() -> ! = enter;
            top.add(6).write(entry as usize);
            fiber.top = top.cast();
        }
        debug_assert_eq!((fiber.top.addr() + 7 * 8) % 16, 8);
    }

    /// Runs fibers until all are done, or none can go on.
    fn drive(&mut self, threads: usize, backwards: bool) -> Result<(), GroupFault> {
        loop {
            for turn in 0..threads {
                let index = if backwards { threads - 1 - turn } else { turn };
                if self.fibers[index].state == State::Ready {
                    self.current = index;
                    let to = self.fibers[index].top;
                    // SAFETY: a fiber that is ready, on its own stack. It comes back through `home`.
                    unsafe { switch(&raw mut self.home, to) };
                }
            }
            let fibers = &self.fibers[..threads];
            let count = |state| fibers.iter().filter(|it| it.state == state).count();
            let done = count(State::Done);
            if done == threads {
                return Ok(());
            }
            if self.release_lanes(threads) {
                continue;
            }
            if done > 0 {
                return Err(GroupFault::DivergentBarrier);
            }
            for fiber in &mut self.fibers[..threads] {
                fiber.state = State::Ready;
            }
        }
    }

    /// Lets the lanes of each SIMD-group go on that wait at one place. True if there were any.
    fn release_lanes(&mut self, threads: usize) -> bool {
        let mut any = false;
        for (group, lanes) in self.fibers[..threads].chunks_mut(LANES).enumerate() {
            let place = lanes.iter().find_map(|it| match it.state {
                State::AtExchange(site, bytes) => Some((site, bytes)),
                _ => None,
            });
            let Some((site, bytes)) = place else { continue };
            any = true;
            let here = State::AtExchange(site, bytes);
            let len = (bytes as usize).min(VALUE_BYTES);
            let mut active = 0;
            for (lane, fiber) in lanes.iter().enumerate() {
                if fiber.state == here {
                    active |= 1 << lane;
                    self.released[group][lane * len..(lane + 1) * len]
                        .copy_from_slice(&fiber.value[..len]);
                }
            }
            for fiber in lanes.iter_mut().filter(|it| it.state == here) {
                fiber.active = active;
                fiber.state = State::Ready;
            }
        }
        any
    }
}

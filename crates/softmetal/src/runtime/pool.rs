//! Autorelease pools: a stack of objects a thread, with marks where pools begin.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::rules::{Rule, record};
use crate::runtime::object::Id;

/// A thread's pools: what is to be released, and how many pools are open.
struct Pools {
    objects: Vec<Id>,
    open: usize,
}

thread_local! {
    static POOLS: RefCell<Pools> = const { RefCell::new(Pools { objects: Vec::new(), open: 0 }) };
}

static ORPHANS: AtomicUsize = AtomicUsize::new(0);

/// Objects autoreleased with no pool open.
pub(crate) fn orphans() -> usize {
    ORPHANS.load(Ordering::Relaxed)
}

/// Opens a pool; the token says where it begins.
pub(crate) fn push() -> usize {
    POOLS.with_borrow_mut(|pools| {
        pools.open += 1;
        pools.objects.len()
    })
}

/// Releases everything since `token`, what the releases themselves autorelease included.
pub(crate) fn pop(token: usize) {
    let next = || {
        POOLS.with_borrow_mut(|pools| {
            let more = pools.objects.len() > token;
            more.then(|| pools.objects.pop()).flatten()
        })
    };
    while let Some(id) = next() {
        id.release();
    }
    POOLS.with_borrow_mut(|pools| pools.open = pools.open.saturating_sub(1));
}

/// Gives the caller's reference to the innermost pool. Without one it leaks, as it would on a Mac.
pub(crate) fn autorelease(id: Id) -> Id {
    if id.is_nil() || !id.check_alive(Rule::Zombie, c"autorelease") {
        return id;
    }
    let kept = POOLS.with_borrow_mut(|pools| {
        if pools.open > 0 {
            pools.objects.push(id);
        }
        pools.open > 0
    });
    if !kept {
        ORPHANS.fetch_add(1, Ordering::Relaxed);
        let name = id.class().name().to_string_lossy();
        record(
            Rule::NoPool,
            format!("a {name} autoreleased with no pool in place"),
        );
    }
    id
}

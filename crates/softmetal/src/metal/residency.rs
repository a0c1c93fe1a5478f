//! MTLResidencySet: membership, as far as a program can see it.

use std::sync::Mutex;

use objc2::rc::Retained;
use objc2::runtime::{NSObject, NSObjectProtocol};
use objc2::{AnyThread, DefinedClass, Message, define_class, msg_send};
use objc2_foundation::{NSArray, NSString};
use objc2_metal::{MTLAllocation, MTLDevice, MTLResidencySet};

use crate::metal::device::SoftDevice;
use crate::metal::{Label, Protocol};
use crate::rules::{Rule, lock};
use crate::world::Live;

pub(crate) struct Ivars {
    device: Retained<SoftDevice>,
    members: Mutex<Members>,
    label: Label,
    _live: Live,
}

#[derive(Default)]
struct Members {
    /// With what was added and not committed.
    all: Vec<Retained<Protocol<dyn MTLAllocation>>>,
    changed: bool,
}

fn same(a: &Protocol<dyn MTLAllocation>, b: &Protocol<dyn MTLAllocation>) -> bool {
    std::ptr::addr_eq(a, b)
}

define_class!(
    #[unsafe(super(NSObject))]
    #[name = "SoftMTLResidencySet"]
    #[ivars = Ivars]
    pub(crate) struct SoftResidencySet;

    // SAFETY: of this and each protocol below: a method has the selector and the types that its protocol states in Apple's header, as objc2-metal has them.
    unsafe impl NSObjectProtocol for SoftResidencySet {}

    unsafe impl MTLResidencySet for SoftResidencySet {
        #[unsafe(method_id(label))]
        fn label_(&self) -> Option<Retained<NSString>> {
            self.ivars().label.get()
        }

        #[unsafe(method_id(device))]
        fn device_(&self) -> Retained<Protocol<dyn MTLDevice>> {
            Protocol::from_retained(self.ivars().device.clone())
        }

        #[unsafe(method(allocatedSize))]
        fn allocated_size_(&self) -> u64 {
            let members = lock(&self.ivars().members);
            members.all.iter().map(|it| it.allocatedSize() as u64).sum()
        }

        #[unsafe(method(addAllocation:))]
        fn add_(&self, allocation: &Protocol<dyn MTLAllocation>) {
            let mut members = lock(&self.ivars().members);
            if !members.all.iter().any(|it| same(it, allocation)) {
                members.all.push(allocation.retain());
            }
            members.changed = true;
        }

        #[unsafe(method(removeAllocation:))]
        fn remove_(&self, allocation: &Protocol<dyn MTLAllocation>) {
            let mut members = lock(&self.ivars().members);
            let at = members.all.iter().position(|it| same(it, allocation));
            let removed = at.map(|at| members.all.remove(at));
            members.changed = true;
            drop(members);
            drop(removed);
        }

        #[unsafe(method(removeAllAllocations))]
        fn remove_all_(&self) {
            let mut members = lock(&self.ivars().members);
            let all = std::mem::take(&mut members.all);
            members.changed = true;
            drop(members);
            drop(all);
        }

        #[unsafe(method(containsAllocation:))]
        fn contains_(&self, allocation: &Protocol<dyn MTLAllocation>) -> bool {
            lock(&self.ivars().members)
                .all
                .iter()
                .any(|it| same(it, allocation))
        }

        #[unsafe(method_id(allAllocations))]
        fn all_(&self) -> Retained<NSArray<Protocol<dyn MTLAllocation>>> {
            NSArray::from_retained_slice(&lock(&self.ivars().members).all)
        }

        #[unsafe(method(allocationCount))]
        fn count_(&self) -> usize {
            lock(&self.ivars().members).all.len()
        }

        #[unsafe(method(commit))]
        fn commit_(&self) {
            lock(&self.ivars().members).changed = false;
        }

        #[unsafe(method(requestResidency))]
        fn request_(&self) {
            let changed = lock(&self.ivars().members).changed;
            let world = self.ivars().device.world();
            world.require(!changed, Rule::ResidencyUncommitted, || {
                "requestResidency with changes that are not committed".to_owned()
            });
        }

        #[unsafe(method(endResidency))]
        fn end_(&self) {}
    }
);

impl SoftResidencySet {
    pub(crate) fn new(device: &Retained<SoftDevice>) -> Retained<Self> {
        let this = Self::alloc().set_ivars(Ivars {
            device: device.clone(),
            members: Mutex::default(),
            label: Label::default(),
            _live: Live::new(device.world(), "MTLResidencySet"),
        });
        // SAFETY: NSObject's initialiser.
        unsafe { msg_send![super(this), init] }
    }
}

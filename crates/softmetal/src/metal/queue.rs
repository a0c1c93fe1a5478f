//! MTLCommandQueue.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use objc2::rc::Retained;
use objc2::runtime::{AnyObject, NSObject, NSObjectProtocol};
use objc2::{AnyThread, DefinedClass, Message, define_class, msg_send};
use objc2_foundation::NSString;
use objc2_metal::{MTLCommandBuffer, MTLCommandQueue, MTLDevice, MTLResidencySet};

use crate::metal::command_buffer::{SoftCommandBuffer, Style};
use crate::metal::device::SoftDevice;
use crate::metal::{Label, Protocol};
use crate::rules::{Rule, lock};
use crate::world::{Fault, Live};

pub(crate) struct Ivars {
    pub(crate) number: u64,
    pub(crate) device: Retained<SoftDevice>,
    pub(crate) places: Arc<Places>,
    residency_sets: Mutex<usize>,
    label: Label,
    _live: Live,
}

/// Command buffers that a queue has given out and that have not completed.
#[derive(Debug)]
pub(crate) struct Places {
    max: usize,
    taken: Mutex<Taken>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    committed: usize,
}

/// A command buffer's place in its queue.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    committed: Mutex<bool>,
}

impl Place {
    pub(crate) fn commit(&self) {
        *lock(&self.committed) = true;
        lock(&self.places.taken).committed += 1;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.places.taken);
        taken.all -= 1;
        taken.committed -= usize::from(*lock(&self.committed));
        drop(taken);
        self.places.changed.notify_all();
    }
}

/// How long a call may block for a place before that counts as for ever.
const PATIENCE: Duration = Duration::from_secs(20);
/// Residency sets that one queue takes.
const RESIDENCY_SETS_MAX: usize = 32;

define_class!(
    #[unsafe(super(NSObject))]
    #[name = "SoftMTLCommandQueue"]
    #[ivars = Ivars]
    pub(crate) struct SoftQueue;

    // SAFETY: of this and each protocol below: a method has the selector and the types that its protocol states in Apple's header, as objc2-metal has them.
    unsafe impl NSObjectProtocol for SoftQueue {}

    unsafe impl MTLCommandQueue for SoftQueue {
        #[unsafe(method_id(label))]
        fn label_(&self) -> Option<Retained<NSString>> {
            self.ivars().label.get()
        }

        #[unsafe(method(setLabel:))]
        fn set_label_(&self, label: Option<&NSString>) {
            self.ivars().label.set(label);
        }

        #[unsafe(method_id(device))]
        fn device_(&self) -> Retained<Protocol<dyn MTLDevice>> {
            Protocol::from_retained(self.ivars().device.clone())
        }

        #[unsafe(method_id(commandBuffer))]
        fn command_buffer_(&self) -> Option<Retained<Protocol<dyn MTLCommandBuffer>>> {
            self.command_buffer(Style {
                retained: true,
                infos: false,
            })
        }

        #[unsafe(method_id(commandBufferWithUnretainedReferences))]
        fn unretained_(&self) -> Option<Retained<Protocol<dyn MTLCommandBuffer>>> {
            self.command_buffer(Style {
                retained: false,
                infos: false,
            })
        }

        #[unsafe(method(addResidencySet:))]
        fn add_residency_set_(&self, _set: &Protocol<dyn MTLResidencySet>) {
            let mut count = lock(&self.ivars().residency_sets);
            *count += 1;
            let world = self.ivars().device.world();
            world.require(*count <= RESIDENCY_SETS_MAX, Rule::ResidencyCount, || {
                format!("{count} residency sets of one queue")
            });
        }

        #[unsafe(method(removeResidencySet:))]
        fn remove_residency_set_(&self, _set: &Protocol<dyn MTLResidencySet>) {
            let mut count = lock(&self.ivars().residency_sets);
            *count = count.saturating_sub(1);
        }
    }

    /// A descriptor has a type only with features that this crate does not take.
    impl SoftQueue {
        #[unsafe(method_id(commandBufferWithDescriptor:))]
        fn described_(&self, descriptor: &AnyObject) -> Option<Retained<AnyObject>> {
            // SAFETY: the descriptor's own properties.
            let (retained, errors): (bool, usize) = unsafe {
                (
                    msg_send![descriptor, retainedReferences],
                    msg_send![descriptor, errorOptions],
                )
            };
            let style = Style {
                retained,
                infos: errors & 1 != 0,
            };
            self.command_buffer(style).map(Into::into)
        }
    }
);

impl SoftQueue {
    pub(crate) fn new(device: &Retained<SoftDevice>, max: usize) -> Retained<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let this = Self::alloc().set_ivars(Ivars {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            device: device.clone(),
            places: Arc::new(Places {
                max,
                taken: Mutex::default(),
                changed: Condvar::new(),
            }),
            residency_sets: Mutex::new(0),
            label: Label::default(),
            _live: Live::new(device.world(), "MTLCommandQueue"),
        });
        // SAFETY: NSObject's initialiser.
        unsafe { msg_send![super(this), init] }
    }

    fn command_buffer(&self, style: Style) -> Option<Retained<Protocol<dyn MTLCommandBuffer>>> {
        let world = self.ivars().device.world();
        let nil = world.counted(|it| match it {
            Fault::NoCommandBuffer(left) => Some(left),
            _ => None,
        });
        if nil {
            return None;
        }
        let place = self.place()?;
        Some(Protocol::from_retained(SoftCommandBuffer::new(
            &self.retain(),
            place,
            style,
        )))
    }

    /// Waits for a place, as Metal does, unless it would wait for ever.
    fn place(&self) -> Option<Place> {
        let it = self.ivars();
        let end = Instant::now() + PATIENCE;
        let mut taken = lock(&it.places.taken);
        while taken.all >= it.places.max {
            if taken.committed == 0 || Instant::now() >= end {
                let text = format!(
                    "{} command buffers of a queue of {}, {} of them committed",
                    taken.all + 1,
                    it.places.max,
                    taken.committed
                );
                drop(taken);
                it.device.world().broke(Rule::TooManyCommandBuffers, text);
                return None;
            }
            let waited = it
                .places
                .changed
                .wait_timeout(taken, Duration::from_millis(100));
            taken = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        taken.all += 1;
        drop(taken);
        Some(Place {
            places: Arc::clone(&it.places),
            committed: Mutex::new(false),
        })
    }
}

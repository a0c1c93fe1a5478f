//! MTLEvent, MTLSharedEvent and MTLFence.

use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use block2::RcBlock;
use objc2::rc::{Retained, autoreleasepool};
use objc2::runtime::{AnyObject, NSObject, NSObjectProtocol};
use objc2::{AnyThread, DefinedClass, Message, define_class, msg_send};
use objc2_foundation::NSString;
use objc2_metal::{MTLDevice, MTLEvent, MTLFence, MTLSharedEvent};

use crate::gpu::event::Event;
use crate::gpu::{Fence, in_handler};
use crate::metal::device::SoftDevice;
use crate::metal::lifetime::Lifetime;
use crate::metal::{Label, Protocol};
use crate::rules::Rule;
use crate::world::Live;

pub(crate) struct EventIvars {
    pub(crate) event: Arc<Event>,
    device: Retained<SoftDevice>,
    label: Label,
    _live: Live,
}

/// A listener's block and its event. Only one thread has it at a time.
struct Listener(
    RcBlock<dyn Fn(NonNull<AnyObject>, u64)>,
    Retained<SoftEvent>,
);

// SAFETY: a listener's block may run on any thread, by Metal's contract, and the event is thread-safe.
unsafe impl Send for Listener {}

impl Listener {
    fn call(self, value: u64) {
        autoreleasepool(|_| {
            let event: &AnyObject = &self.1;
            self.0.call((NonNull::from(event), value));
        });
    }
}

define_class!(
    #[unsafe(super(NSObject))]
    #[name = "SoftMTLSharedEvent"]
    #[ivars = EventIvars]
    pub(crate) struct SoftEvent;

    // SAFETY: of this and each protocol below: a method has the selector and the types that its protocol states in Apple's header, as objc2-metal has them.
    unsafe impl NSObjectProtocol for SoftEvent {}

    unsafe impl MTLEvent for SoftEvent {
        #[unsafe(method_id(label))]
        fn label_(&self) -> Option<Retained<NSString>> {
            self.ivars().label.get()
        }

        #[unsafe(method(setLabel:))]
        fn set_label_(&self, label: Option<&NSString>) {
            self.ivars().label.set(label);
        }

        #[unsafe(method_id(device))]
        fn device_(&self) -> Option<Retained<Protocol<dyn MTLDevice>>> {
            Some(Protocol::from_retained(self.ivars().device.clone()))
        }
    }

    unsafe impl MTLSharedEvent for SoftEvent {
        #[unsafe(method(signaledValue))]
        fn value_(&self) -> u64 {
            self.ivars().event.value()
        }

        #[unsafe(method(setSignaledValue:))]
        fn set_value_(&self, value: u64) {
            self.ivars().event.set(value);
        }

        #[unsafe(method(waitUntilSignaledValue:timeoutMS:))]
        fn wait_(&self, value: u64, timeout_ms: u64) -> bool {
            let it = self.ivars();
            let waits = timeout_ms > 0 && in_handler();
            it.device.world().require(!waits, Rule::WaitInHandler, || {
                format!("a handler waits for value {value} of an event")
            });
            it.event.wait(value, Duration::from_millis(timeout_ms))
        }
    }

    /// The listener has a type only with libdispatch.
    impl SoftEvent {
        #[unsafe(method(notifyListener:atValue:block:))]
        fn notify_(
            &self,
            _listener: &AnyObject,
            value: u64,
            block: *mut block2::DynBlock<dyn Fn(NonNull<AnyObject>, u64)>,
        ) {
            // SAFETY: the caller's block, which is copied.
            if let Some(block) = unsafe { RcBlock::copy(block) } {
                let listener = Listener(block, self.retain());
                self.ivars()
                    .event
                    .listen(value, Box::new(move |value| listener.call(value)));
            }
        }
    }
);

impl SoftEvent {
    pub(crate) fn new(device: &Retained<SoftDevice>) -> Retained<Self> {
        let this = Self::alloc().set_ivars(EventIvars {
            event: Event::new(device.gpu()),
            device: device.clone(),
            label: Label::default(),
            _live: Live::new(device.world(), "MTLSharedEvent"),
        });
        // SAFETY: NSObject's initialiser.
        unsafe { msg_send![super(this), init] }
    }
}

pub(crate) struct FenceIvars {
    pub(crate) fence: Arc<Fence>,
    pub(crate) lifetime: Arc<Lifetime>,
    device: Retained<SoftDevice>,
    label: Label,
    _live: Live,
}

impl Drop for FenceIvars {
    fn drop(&mut self) {
        self.lifetime.release();
    }
}

define_class!(
    #[unsafe(super(NSObject))]
    #[name = "SoftMTLFence"]
    #[ivars = FenceIvars]
    pub(crate) struct SoftFence;

    // SAFETY: of this and each protocol below: a method has the selector and the types that its protocol states in Apple's header, as objc2-metal has them.
    unsafe impl NSObjectProtocol for SoftFence {}

    unsafe impl MTLFence for SoftFence {
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
    }
);

impl SoftFence {
    pub(crate) fn new(device: &Retained<SoftDevice>) -> Retained<Self> {
        let this = Self::alloc().set_ivars(FenceIvars {
            fence: Arc::new(Fence::default()),
            lifetime: Lifetime::new(device.world(), "a fence".to_owned()),
            device: device.clone(),
            label: Label::default(),
            _live: Live::new(device.world(), "MTLFence"),
        });
        // SAFETY: NSObject's initialiser.
        unsafe { msg_send![super(this), init] }
    }
}

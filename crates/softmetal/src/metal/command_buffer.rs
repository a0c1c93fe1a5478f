//! MTLCommandBuffer, and what its error says of its encoders.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use block2::{DynBlock, RcBlock};
use objc2::rc::{Retained, autoreleasepool};
use objc2::runtime::{AnyObject, NSObject, NSObjectProtocol};
use objc2::{AnyThread, DefinedClass, Message, define_class, msg_send};
use objc2_foundation::{NSArray, NSError, NSString};
use objc2_metal::{
    MTLBlitCommandEncoder, MTLCommandBuffer, MTLCommandBufferEncoderInfo,
    MTLCommandBufferErrorOption, MTLCommandBufferStatus, MTLCommandEncoderErrorState,
    MTLCommandQueue, MTLComputeCommandEncoder, MTLDevice, MTLDispatchType, MTLEvent,
};

use crate::gpu::{Encoder, Fail, Outcome, Segment, Submission, in_handler};
use crate::metal::blit::SoftBlit;
use crate::metal::buffer::SoftBuffer;
use crate::metal::compute::SoftCompute;
use crate::metal::queue::{Place, SoftQueue};
use crate::metal::sync::SoftEvent;
use crate::metal::{Label, Protocol, error, soft};
use crate::rules::{Rule, lock};
use crate::runtime::Domain;
use crate::world::{Live, World};

/// How a command buffer was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Whether it keeps alive what its commands use.
    pub(crate) retained: bool,
    /// Whether its error says how far each encoder came.
    pub(crate) infos: bool,
}

type Handler = RcBlock<dyn Fn(NonNull<Protocol<dyn MTLCommandBuffer>>)>;
type HandlerArgument = *mut DynBlock<dyn Fn(NonNull<Protocol<dyn MTLCommandBuffer>>)>;

struct State {
    segments: Vec<Segment>,
    /// Whether an encoder is open.
    open: bool,
    status: MTLCommandBufferStatus,
    error: Option<Retained<NSError>>,
    /// Ends of encoders that the device did not come to, until the program asks for the status.
    missed: Vec<u64>,
    completed: Vec<Handler>,
    scheduled: Vec<Handler>,
    kept: Vec<Retained<SoftBuffer>>,
    place: Option<Place>,
    /// When it started and ended on the device, in seconds.
    times: (f64, f64),
}

pub(crate) struct Ivars {
    queue: Retained<SoftQueue>,
    pub(crate) style: Style,
    label: Label,
    state: Mutex<State>,
    ended: Condvar,
    live: Live,
}

define_class!(
    #[unsafe(super(NSObject))]
    #[name = "SoftMTLCommandBuffer"]
    #[ivars = Ivars]
    pub(crate) struct SoftCommandBuffer;

    // SAFETY: of this and each protocol below: a method has the selector and the types that its protocol states in Apple's header, as objc2-metal has them.
    unsafe impl NSObjectProtocol for SoftCommandBuffer {}

    unsafe impl MTLCommandBuffer for SoftCommandBuffer {
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
            self.ivars().queue.device()
        }

        #[unsafe(method_id(commandQueue))]
        fn queue_(&self) -> Retained<Protocol<dyn MTLCommandQueue>> {
            Protocol::from_retained(self.ivars().queue.clone())
        }

        #[unsafe(method(retainedReferences))]
        fn retained_references_(&self) -> bool {
            self.ivars().style.retained
        }

        #[unsafe(method(errorOptions))]
        fn error_options_(&self) -> MTLCommandBufferErrorOption {
            MTLCommandBufferErrorOption(usize::from(self.ivars().style.infos))
        }

        #[unsafe(method(GPUStartTime))]
        fn start_time_(&self) -> f64 {
            self.state(|it| it.times.0)
        }

        #[unsafe(method(GPUEndTime))]
        fn end_time_(&self) -> f64 {
            self.state(|it| it.times.1)
        }

        #[unsafe(method(status))]
        fn status_(&self) -> MTLCommandBufferStatus {
            let (status, missed) = self.state(|it| (it.status, std::mem::take(&mut it.missed)));
            if !missed.is_empty() {
                self.ivars().queue.ivars().device.gpu().tell(missed);
            }
            status
        }

        #[unsafe(method_id(error))]
        fn error_(&self) -> Option<Retained<NSError>> {
            self.state(|it| it.error.clone())
        }

        #[unsafe(method_id(computeCommandEncoder))]
        fn compute_(&self) -> Option<Retained<Protocol<dyn MTLComputeCommandEncoder>>> {
            Some(self.compute_encoder(MTLDispatchType::Serial))
        }

        #[unsafe(method_id(computeCommandEncoderWithDispatchType:))]
        fn compute_type_(
            &self,
            dispatch: MTLDispatchType,
        ) -> Option<Retained<Protocol<dyn MTLComputeCommandEncoder>>> {
            Some(self.compute_encoder(dispatch))
        }

        #[unsafe(method_id(blitCommandEncoder))]
        fn blit_(&self) -> Option<Retained<Protocol<dyn MTLBlitCommandEncoder>>> {
            self.begin("blitCommandEncoder");
            Some(Protocol::from_retained(SoftBlit::new(&self.retain())))
        }

        #[unsafe(method(encodeSignalEvent:value:))]
        fn signal_(&self, event: &Protocol<dyn MTLEvent>, value: u64) {
            let event = self.event("encodeSignalEvent", event);
            self.state(|it| it.segments.push(Segment::Signal(event, value)));
        }

        #[unsafe(method(encodeWaitForEvent:value:))]
        fn wait_event_(&self, event: &Protocol<dyn MTLEvent>, value: u64) {
            let event = self.event("encodeWaitForEvent", event);
            self.state(|it| it.segments.push(Segment::Wait(event, value)));
        }

        #[unsafe(method(addCompletedHandler:))]
        fn add_completed_(&self, handler: HandlerArgument) {
            self.add_handler(handler, |it| &mut it.completed);
        }

        #[unsafe(method(addScheduledHandler:))]
        fn add_scheduled_(&self, handler: HandlerArgument) {
            self.add_handler(handler, |it| &mut it.scheduled);
        }

        #[unsafe(method(commit))]
        fn commit_(&self) {
            self.commit_once();
        }

        #[unsafe(method(waitUntilCompleted))]
        fn wait_(&self) {
            self.wait_for(MTLCommandBufferStatus::Completed);
        }

        #[unsafe(method(waitUntilScheduled))]
        fn wait_scheduled_(&self) {
            self.wait_for(MTLCommandBufferStatus::Committed);
        }
    }
);

/// A command buffer on its way to the device, which keeps it alive.
struct Pending(Retained<SoftCommandBuffer>);

// SAFETY: everything in it that changes is behind locks.
unsafe impl Send for Pending {}

impl SoftCommandBuffer {
    pub(crate) fn new(queue: &Retained<SoftQueue>, place: Place, style: Style) -> Retained<Self> {
        let world = queue.ivars().device.world();
        let state = State {
            segments: Vec::new(),
            open: false,
            status: MTLCommandBufferStatus::NotEnqueued,
            error: None,
            missed: Vec::new(),
            completed: Vec::new(),
            scheduled: Vec::new(),
            kept: Vec::new(),
            place: Some(place),
            times: (0.0, 0.0),
        };
        let this = Self::alloc().set_ivars(Ivars {
            queue: queue.clone(),
            style,
            label: Label::default(),
            state: Mutex::new(state),
            ended: Condvar::new(),
            live: Live::new(world, "MTLCommandBuffer"),
        });
        // SAFETY: NSObject's initialiser.
        unsafe { msg_send![super(this), init] }
    }

    pub(crate) fn world(&self) -> &Arc<World> {
        &self.ivars().live.world
    }

    fn state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut lock(&self.ivars().state))
    }

    fn name(&self) -> String {
        format!("the command buffer `{}`", self.ivars().label.text())
    }

    /// Checks that a command may be encoded between encoders.
    fn between(&self, call: &str) {
        let (open, status) = self.state(|it| (it.open, it.status));
        let early = status.0 < MTLCommandBufferStatus::Committed.0;
        self.world().require(early, Rule::EncodeAfterCommit, || {
            format!("{call} of {}", self.name())
        });
        self.world().require(!open, Rule::TwoOpenEncoders, || {
            format!("{call} of {} while an encoder is open", self.name())
        });
    }

    fn begin(&self, call: &str) {
        self.between(call);
        self.state(|it| it.open = true);
    }

    fn compute_encoder(
        &self,
        dispatch: MTLDispatchType,
    ) -> Retained<Protocol<dyn MTLComputeCommandEncoder>> {
        self.begin("computeCommandEncoder");
        Protocol::from_retained(SoftCompute::new(
            &self.retain(),
            dispatch == MTLDispatchType::Concurrent,
        ))
    }

    fn event(&self, call: &str, event: &Protocol<dyn MTLEvent>) -> Arc<crate::gpu::event::Event> {
        self.between(call);
        let event: &SoftEvent = soft(self.world(), event.as_ref());
        Arc::clone(&event.ivars().event)
    }

    /// Takes an encoder's commands when it ends.
    pub(crate) fn close(&self, encoder: Encoder) {
        self.state(|it| {
            it.open = false;
            it.segments.push(Segment::Encoder(encoder));
        });
    }

    /// Forgets an encoder that was released before its end.
    pub(crate) fn abandon(&self) {
        self.state(|it| it.open = false);
    }

    /// Keeps a buffer alive until the end.
    pub(crate) fn keep(&self, buffer: &SoftBuffer) {
        self.state(|it| {
            if !it
                .kept
                .iter()
                .any(|kept| std::ptr::eq(&raw const **kept, buffer))
            {
                it.kept.push(buffer.retain());
            }
        });
    }

    fn add_handler(
        &self,
        handler: HandlerArgument,
        list: impl FnOnce(&mut State) -> &mut Vec<Handler>,
    ) {
        let status = self.state(|it| it.status);
        let early = status.0 < MTLCommandBufferStatus::Committed.0;
        self.world().require(early, Rule::HandlerAfterCommit, || {
            format!("a handler of {}", self.name())
        });
        // SAFETY: the caller's block, which is copied.
        let handler = unsafe { RcBlock::copy(handler) };
        self.state(|it| list(it).extend(handler));
    }

    fn commit_once(&self) {
        let (open, status) = self.state(|it| (it.open, it.status));
        let early = status.0 < MTLCommandBufferStatus::Committed.0;
        self.world()
            .require(early, Rule::CommitTwice, || self.name());
        self.world()
            .require(!open, Rule::OpenEncoderAtCommit, || self.name());
        let (segments, scheduled) = self.state(|it| {
            it.status = MTLCommandBufferStatus::Committed;
            if let Some(place) = &it.place {
                place.commit();
            }
            (
                std::mem::take(&mut it.segments),
                std::mem::take(&mut it.scheduled),
            )
        });
        if !self.ivars().style.retained {
            segments.iter().for_each(Segment::commit_unretained);
        }
        let queue = &self.ivars().queue;
        let gpu = queue.ivars().device.gpu();
        if !scheduled.is_empty() {
            let (pending, handlers) = (Pending(self.retain()), Handlers(scheduled));
            gpu.call(Box::new(move || pending.handle(handlers)));
        }
        let pending = Pending(self.retain());
        gpu.submit(Submission {
            queue: queue.ivars().number,
            segments,
            done: Box::new(move |outcome| pending.complete(outcome)),
        });
    }

    fn wait_for(&self, status: MTLCommandBufferStatus) {
        self.world()
            .require(!in_handler(), Rule::WaitInHandler, || {
                format!("a handler waits for {}", self.name())
            });
        let mut state = lock(&self.ivars().state);
        let committed = state.status.0 >= MTLCommandBufferStatus::Committed.0;
        if !committed {
            drop(state);
            self.world().broke(Rule::WaitBeforeCommit, self.name());
            return;
        }
        while state.status.0 < status.0 {
            state = self
                .ivars()
                .ended
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Blocks that may run on any thread, by Metal's contract.
struct Handlers(Vec<Handler>);

// SAFETY: as above; only one thread has them at a time.
unsafe impl Send for Handlers {}

impl Pending {
    /// On the thread for handlers: the status and the error, then the handlers. Whether who waits wakes before or after them is not promised.
    fn complete(self, outcome: Outcome) {
        autoreleasepool(|_| {
            let it = self.0.ivars();
            let missed = outcome.error.as_ref().map(|it| it.missed.clone());
            let error = outcome
                .error
                .map(|fail| command_error(&it.live.world, &fail, it.style.infos));
            let (handlers, kept, place) = self.0.state(|state| {
                state.status = match error {
                    Some(_) => MTLCommandBufferStatus::Error,
                    None => MTLCommandBufferStatus::Completed,
                };
                state.error = error;
                state.missed = missed.unwrap_or_default();
                state.times = (outcome.started, outcome.ended);
                (
                    std::mem::take(&mut state.completed),
                    std::mem::take(&mut state.kept),
                    state.place.take(),
                )
            });
            drop(kept);
            drop(place);
            let before = it.live.world.below(2) == 0;
            if before {
                it.ended.notify_all();
            }
            self.call(Handlers(handlers));
            it.ended.notify_all();
        });
    }

    fn handle(self, handlers: Handlers) {
        autoreleasepool(|_| self.call(handlers));
    }

    fn call(&self, handlers: Handlers) {
        let argument = NonNull::from(Protocol::<dyn MTLCommandBuffer>::from_ref(&*self.0));
        for handler in handlers.0 {
            if catch_unwind(AssertUnwindSafe(|| handler.call((argument,)))).is_err() {
                let text = format!("a handler of {} unwound", self.0.name());
                self.0.world().noted(Rule::HandlerUnwound, text);
            }
        }
    }
}

/// The error that a program sees.
fn command_error(world: &Arc<World>, fail: &Fail, infos: bool) -> Retained<NSError> {
    let encoders: Vec<Retained<AnyObject>> = match infos {
        true => fail
            .encoders
            .iter()
            .map(|(label, progress)| {
                Retained::into_super(Retained::into_super(SoftInfo::new(
                    world,
                    label,
                    *progress as isize,
                )))
            })
            .collect(),
        false => Vec::new(),
    };
    error(
        Domain::CommandBuffer,
        fail.code,
        &format!(
            "Execution of the command buffer was aborted due to an error: {}",
            fail.text
        ),
        &encoders,
    )
}

pub(crate) struct InfoIvars {
    label: String,
    state: isize,
    _live: Live,
}

define_class!(
    #[unsafe(super(NSObject))]
    #[name = "SoftMTLCommandBufferEncoderInfo"]
    #[ivars = InfoIvars]
    pub(crate) struct SoftInfo;

    // SAFETY: of this and each protocol below: a method has the selector and the types that its protocol states in Apple's header, as objc2-metal has them.
    unsafe impl NSObjectProtocol for SoftInfo {}

    unsafe impl MTLCommandBufferEncoderInfo for SoftInfo {
        #[unsafe(method_id(label))]
        fn label_(&self) -> Retained<NSString> {
            NSString::from_str(&self.ivars().label)
        }

        #[unsafe(method_id(debugSignposts))]
        fn signposts_(&self) -> Retained<NSArray<NSString>> {
            NSArray::from_retained_slice(&[])
        }

        #[unsafe(method(errorState))]
        fn error_state_(&self) -> MTLCommandEncoderErrorState {
            MTLCommandEncoderErrorState(self.ivars().state)
        }
    }
);

impl SoftInfo {
    fn new(world: &Arc<World>, label: &str, state: isize) -> Retained<Self> {
        let this = Self::alloc().set_ivars(InfoIvars {
            label: label.to_owned(),
            state,
            _live: Live::new(world, "MTLCommandBufferEncoderInfo"),
        });
        // SAFETY: NSObject's initialiser.
        unsafe { msg_send![super(this), init] }
    }
}

//! Apple's rules, each with the page it comes from, and the log of those broken.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident: $page:literal;)*) => {
        /// A rule of Apple's. [`page`](Self::page) is where it stands.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule { $($(#[$doc])* $name,)* }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The page of Apple's documentation that states it, below <https://developer.apple.com/>.
            pub const fn page(self) -> &'static str {
                match self { $(Self::$name => $page,)* }
            }
        }
    };
}

rules! {
    /// A message to an object that was deallocated.
    Zombie: "library/archive/documentation/Cocoa/Conceptual/MemoryMgmt/Articles/mmRules.html";
    /// A release of an object or block that nobody owns any more.
    OverRelease: "library/archive/documentation/Cocoa/Conceptual/MemoryMgmt/Articles/mmRules.html";
    /// An object left alive at the end.
    LeakedObject: "library/archive/documentation/Cocoa/Conceptual/MemoryMgmt/Articles/mmRules.html";
    /// A block left alive at the end.
    LeakedBlock: "library/archive/documentation/Cocoa/Conceptual/Blocks/Articles/bxUsing.html";
    /// An autorelease on a thread without a pool: the object leaks.
    NoPool: "library/archive/documentation/Cocoa/Conceptual/MemoryMgmt/Articles/mmAutoreleasePools.html";
    /// A selector that the class does not have.
    UnknownSelector: "documentation/objectivec/nsobject-swift.class/doesnotrecognizeselector(_:)";
    /// An option or a use of a class that the software classes do not have. No rule of Apple's: whoever meets it has to extend these classes, and the page is where Metal begins.
    NotModelled: "documentation/metal";

    /// A command buffer committed while one of its encoders is open.
    OpenEncoderAtCommit: "documentation/metal/mtlcommandbuffer";
    /// A second encoder, or an event, while an encoder of the same command buffer is open.
    TwoOpenEncoders: "documentation/metal/mtlcommandbuffer";
    /// An encoder released before `endEncoding`.
    EncoderNeverEnded: "documentation/metal/mtlcommandencoder";
    /// `endEncoding` twice.
    EndedTwice: "documentation/metal/mtlcommandencoder/endencoding()";
    /// A command given to an encoder after `endEncoding`.
    EncodeAfterEnd: "documentation/metal/mtlcommandencoder/endencoding()";
    /// A command encoded into a command buffer after its commit.
    EncodeAfterCommit: "documentation/metal/mtlcommandbuffer/commit()";
    /// A second commit.
    CommitTwice: "documentation/metal/mtlcommandbuffer/commit()";
    /// A handler added after the commit.
    HandlerAfterCommit: "documentation/metal/mtlcommandbuffer/addcompletedhandler(_:)";
    /// A wait for a command buffer that was not committed.
    WaitBeforeCommit: "documentation/metal/mtlcommandbuffer/waituntilcompleted()";
    /// A wait inside a completion handler, on whose thread the awaited handlers would have to run.
    WaitInHandler: "documentation/metal/mtlcommandbuffer/addcompletedhandler(_:)";
    /// A panic or an exception that left a handler.
    HandlerUnwound: "library/archive/documentation/Cocoa/Conceptual/Exceptions/Concepts/UncaughtExceptions.html";
    /// More command buffers than the queue allows, none of which can complete: the call would block forever.
    TooManyCommandBuffers: "documentation/metal/mtldevice/makecommandqueue(maxcommandbuffercount:)";

    /// A buffer of length 0 or beyond the device's largest.
    BufferLength: "documentation/metal/mtldevice/makebuffer(length:options:)";
    /// The contents of a buffer in private storage.
    PrivateContents: "documentation/metal/mtlbuffer/contents()";
    /// An argument whose class is not the one that this Metal has for its protocol: objects come from the device alone.
    ForeignObject: "documentation/metal/mtlbuffer";
    /// A resource released while a command buffer that does not retain it was pending.
    ReleasedWhilePending: "documentation/metal/mtlcommandqueue/makecommandbufferwithunretainedreferences()";
    /// A resource used after it was released.
    UsedAfterRelease: "documentation/metal/mtlcommandqueue/makecommandbufferwithunretainedreferences()";

    /// A fill whose range does not begin and end at multiples of 4.
    FillAlignment: "documentation/metal/mtlblitcommandencoder/fill(buffer:range:value:)";
    /// A fill beyond the end of a buffer, or of no bytes.
    FillRange: "documentation/metal/mtlblitcommandencoder/fill(buffer:range:value:)";
    /// A copy whose offsets or size are no multiples of 4.
    BlitAlignment: "documentation/metal/mtlblitcommandencoder/copy(from:sourceoffset:to:destinationoffset:size:)";
    /// A copy beyond the end of a buffer, or of no bytes.
    BlitRange: "documentation/metal/mtlblitcommandencoder/copy(from:sourceoffset:to:destinationoffset:size:)";
    /// A copy within one buffer between ranges that overlap.
    BlitOverlap: "documentation/metal/mtlblitcommandencoder/copy(from:sourceoffset:to:destinationoffset:size:)";
    /// A synchronisation of a resource that is not in managed storage.
    SynchronizeUnmanaged: "documentation/metal/mtlblitcommandencoder/synchronize(resource:)";

    /// A dispatch without a pipeline.
    NoPipeline: "documentation/metal/mtlcomputecommandencoder/setcomputepipelinestate(_:)";
    /// A dispatch without a buffer that its kernel takes, or with too short a one.
    MissingBuffer: "documentation/metal/mtlcomputecommandencoder/setbuffer(_:offset:index:)";
    /// A buffer index beyond the argument table.
    BufferIndex: "metal/Metal-Feature-Set-Tables.pdf";
    /// An offset beyond the buffer, or not a multiple of what the kernel's type is aligned to.
    BufferOffset: "documentation/metal/mtlcomputecommandencoder/setbuffer(_:offset:index:)";
    /// `setBytes` of nothing or of more than 4096 bytes.
    SetBytesLength: "documentation/metal/mtlcomputecommandencoder/setbytes(_:length:index:)";
    /// More threads in a threadgroup than the pipeline or the device allows.
    ThreadgroupSize: "documentation/metal/mtlcomputepipelinestate/maxtotalthreadsperthreadgroup";
    /// A grid or threadgroup with no threads.
    EmptyDispatch: "documentation/metal/mtlcomputecommandencoder/dispatchthreadgroups(_:threadsperthreadgroup:)";
    /// Threadgroup memory that is missing, too much, or whose length is not a multiple of 16.
    ThreadgroupMemory: "documentation/metal/mtlcomputecommandencoder/setthreadgroupmemorylength(_:index:)";
    /// A barrier of an encoder over resources or scopes that a compute encoder does not have.
    BarrierScope: "documentation/metal/mtlcomputecommandencoder/memorybarrier(scope:)";
    /// A threadgroup barrier that not every thread of the threadgroup reached.
    DivergentBarrier: "metal/Metal-Shading-Language-Specification.pdf";
    /// A thread that used more stack than it has.
    KernelStack: "documentation/metal/mtlcommandbuffererror-swift.struct/code/stackoverflow";

    /// A command buffer's signal of less than the event has already: it has no effect. What the host sets may be less, as `signaledValue` says.
    EventValue: "documentation/metal/mtlcommandbuffer/encodesignalevent(_:value:)";
    /// A fence used on two queues, or waited for before anything updated it, or when what should have updated it last has failed and the program was told.
    FenceUse: "documentation/metal/mtlfence#Submit-producing-passes-before-consuming-passes";
    /// A set made resident while changes of it are not committed.
    ResidencyUncommitted: "documentation/metal/mtlresidencyset/commit()";
    /// More than 32 residency sets of one queue.
    ResidencyCount: "documentation/metal/mtlcommandqueue/addresidencyset(_:)";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// Where and how.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, detail } = self;
        write!(
            f,
            "Metal rule {rule} broken: {detail} (https://developer.apple.com/{})",
            rule.page()
        )
    }
}

static LOG: Mutex<Vec<Violation>> = Mutex::new(Vec::new());

/// A lock whose holder cannot leave what it guards half changed, so that a panic elsewhere does not matter.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every rule broken in this process so far, by any thread.
pub fn violations() -> Vec<Violation> {
    lock(&LOG).clone()
}

/// Writes a violation down, for [`violations`], and to standard error.
pub(crate) fn record(rule: Rule, detail: String) -> Violation {
    let violation = Violation { rule, detail };
    eprintln!("{violation}");
    lock(&LOG).push(violation.clone());
    violation
}

/// Writes a violation down and unwinds out of the message send that broke the rule; a thread that unwinds already goes on.
pub(crate) fn broke(rule: Rule, detail: String) {
    let violation = record(rule, detail);
    if !std::thread::panicking() {
        std::panic::panic_any(violation.to_string());
    }
}

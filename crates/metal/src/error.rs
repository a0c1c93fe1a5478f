//! What can go wrong before there is a device, and what a command buffer's error means afterwards.

use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2_foundation::{NSArray, NSError};
use objc2_metal::{
    MTLCommandBuffer, MTLCommandBufferEncoderInfo, MTLCommandBufferEncoderInfoErrorKey,
    MTLCommandBufferError, MTLCommandBufferErrorDomain, MTLCommandEncoderErrorState,
};
use tidegate_core::DeviceError;

/// Why no device could be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The system offers no Metal device.
    #[error(
        "no Metal device was found: it takes a Mac, iPhone or iPad whose GPU has Metal; a virtual machine may have none"
    )]
    NoDevice,
    /// No device has the index or name asked for.
    #[error("no Metal device is called {wanted}: there are {available}")]
    NoSuchDevice {
        /// What was asked for.
        wanted: String,
        /// The devices, as `0 (its name)`, joined by commas.
        available: String,
    },
    /// The device or the system lacks something that Tidegate needs.
    #[error("{name} cannot be used: {reason}")]
    Unsupported {
        /// The device.
        name: String,
        /// What it lacks.
        reason: String,
    },
    /// A call failed.
    #[error("{call} failed: {detail}")]
    Driver {
        /// The method.
        call: &'static str,
        /// What it said.
        detail: String,
    },
}

impl OpenError {
    /// A method that makes something gave nil.
    pub(crate) fn nil(call: &'static str) -> Self {
        Self::Driver {
            call,
            detail: "it returned nil".to_owned(),
        }
    }
}

/// A refusal in words.
pub(crate) fn refused(detail: impl Into<String>) -> DeviceError {
    DeviceError::Refused {
        detail: detail.into(),
    }
}

/// An error in the driver's words, with its number.
pub(crate) fn words(error: &NSError) -> String {
    let (domain, code) = (error.domain(), error.code());
    format!("{} ({domain} {code})", error.localizedDescription())
}

/// What became of a command buffer that ended in an error.
pub(crate) struct Failure {
    /// Whether the device is gone, rather than one submission.
    pub(crate) lost: bool,
    /// The driver's words.
    pub(crate) detail: String,
    /// Labels of the encoders that the driver blames.
    pub(crate) encoders: Vec<String>,
}

impl Failure {
    /// Asks a command buffer whose status is `MTLCommandBufferStatus::Error`.
    pub(crate) fn of(buffer: &ProtocolObject<dyn MTLCommandBuffer>) -> Self {
        let Some(error) = buffer.error() else {
            return Self {
                lost: false,
                detail: "a command buffer failed and gives no error".to_owned(),
                encoders: Vec::new(),
            };
        };
        // SAFETY: a constant string of Metal's, set when the library was loaded (Metal, "MTLCommandBufferErrorDomain").
        let domain = unsafe { MTLCommandBufferErrorDomain };
        let known = error.domain().to_string() == domain.to_string();
        let code = known.then(|| code(&error)).flatten();
        Self {
            lost: code.is_some_and(is_loss),
            detail: match code.and_then(name) {
                Some(name) => format!("{name}: {}", words(&error)),
                None => words(&error),
            },
            encoders: blamed(&error),
        }
    }
}

fn code(error: &NSError) -> Option<MTLCommandBufferError> {
    usize::try_from(error.code())
        .ok()
        .map(MTLCommandBufferError)
}

/// Whether nothing more will run. All other errors end one command buffer.
fn is_loss(code: MTLCommandBufferError) -> bool {
    matches!(
        code,
        MTLCommandBufferError::AccessRevoked | MTLCommandBufferError::DeviceRemoved
    )
}

/// What an error's number means (Metal, "MTLCommandBufferError.Code"). The system's own words are often only the number again.
fn name(code: MTLCommandBufferError) -> Option<&'static str> {
    Some(match code {
        MTLCommandBufferError::Internal => "an internal error of the GPU",
        MTLCommandBufferError::Timeout => {
            "the system ended the submission because it ran for too long"
        }
        MTLCommandBufferError::PageFault => "a kernel accessed memory that is not there",
        MTLCommandBufferError::AccessRevoked => {
            "the system took the GPU away from this process, which caused too many faults"
        }
        MTLCommandBufferError::NotPermitted => {
            "the system does not let this process use the GPU now"
        }
        MTLCommandBufferError::OutOfMemory => "the GPU had no memory to run it",
        MTLCommandBufferError::InvalidResource => "it uses memory that was freed",
        MTLCommandBufferError::Memoryless => "the GPU had no memory for its own tiles",
        MTLCommandBufferError::DeviceRemoved => "the GPU was removed",
        MTLCommandBufferError::StackOverflow => "a kernel overflowed its stack",
        _ => return None,
    })
}

/// Labels of the encoders that faulted, or if none did, of those that were affected by a fault.
fn blamed(error: &NSError) -> Vec<String> {
    // SAFETY: a constant string of Metal's (Metal, "MTLCommandBufferEncoderInfoErrorKey").
    let key = unsafe { MTLCommandBufferEncoderInfoErrorKey };
    let Some(value) = error.userInfo().objectForKey(key) else {
        return Vec::new();
    };
    let Ok(array) = value.downcast::<NSArray>() else {
        return Vec::new();
    };
    let infos: Vec<Retained<ProtocolObject<dyn MTLCommandBufferEncoderInfo>>> = (0..array.count())
        .map(|index| {
            let info = array.objectAtIndex(index);
            // SAFETY: the array's elements conform to the protocol (Metal, "MTLCommandBufferEncoderInfoErrorKey"), and a protocol object is a pointer to any such object.
            unsafe { Retained::cast_unchecked(info) }
        })
        .collect();
    let of = |state| {
        infos
            .iter()
            .filter(|it| it.errorState() == state)
            .map(|it| it.label().to_string())
            .collect::<Vec<_>>()
    };
    let faulted = of(MTLCommandEncoderErrorState::Faulted);
    if faulted.is_empty() {
        return of(MTLCommandEncoderErrorState::Affected);
    }
    faulted
}

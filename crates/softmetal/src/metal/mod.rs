//! Metal's compute classes, as real Objective-C classes.
//!
//! A class holds what its commands need and checks each call against Apple's rules; `gpu` runs what was committed. A selector that is not here is named when sent.

mod blit;
mod buffer;
mod command_buffer;
mod compute;
mod device;
mod encoder;
mod library;
pub(crate) mod lifetime;
pub(crate) mod memory;
mod queue;
mod residency;
mod sync;

use std::sync::Mutex;

use objc2::DowncastTarget;
use objc2::rc::Retained;
use objc2::runtime::{AnyObject, ProtocolObject};
use objc2_foundation::{NSError, NSString};

use crate::rules::{Rule, lock};
use crate::runtime;
use crate::world::World;

pub(crate) type Protocol<T> = ProtocolObject<T>;

/// A label that can be set at any time.
#[derive(Debug, Default)]
pub(crate) struct Label(Mutex<String>);

impl Label {
    fn set(&self, text: Option<&NSString>) {
        *lock(&self.0) = text.map(ToString::to_string).unwrap_or_default();
    }

    fn get(&self) -> Option<Retained<NSString>> {
        let text = self.text();
        (!text.is_empty()).then(|| NSString::from_str(&text))
    }

    fn text(&self) -> String {
        lock(&self.0).clone()
    }
}

/// The software object behind an argument.
fn soft<'a, T: DowncastTarget>(world: &World, object: &'a AnyObject) -> &'a T {
    match object.downcast_ref::<T>() {
        Some(it) => it,
        None => {
            let class = object.class().name().to_string_lossy();
            world.broke(
                Rule::ForeignObject,
                format!("a {class} is no object of this Metal, or of another kind"),
            );
            std::process::abort()
        }
    }
}

/// A new error of one of Metal's domains.
fn error(
    domain: runtime::Domain,
    code: isize,
    text: &str,
    encoders: &[Retained<AnyObject>],
) -> Retained<NSError> {
    let encoders: Vec<_> = encoders
        .iter()
        .map(|it| Retained::as_ptr(it).cast())
        .collect();
    let error = runtime::metal_error(domain, code, text, &encoders);
    // SAFETY: a new NSError, owned.
    match unsafe { Retained::from_raw(error.cast::<NSError>()) } {
        Some(it) => it,
        None => std::process::abort(),
    }
}

/// Gives the value, or puts the error where the caller wants it.
fn or_error<T>(result: Result<T, Retained<NSError>>, out: *mut *mut NSError) -> Option<T> {
    match result {
        Ok(it) => Some(it),
        Err(error) => {
            let error = Retained::autorelease_ptr(error);
            // SAFETY: the caller's out-parameter, or null.
            if let Some(out) = unsafe { out.as_mut() } {
                *out = error;
            }
            None
        }
    }
}

//! What the validation layer says, and names for it to say it with.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_void};
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ash::{ext, vk};

use crate::error::OpenError;

/// Messages kept. The oldest go first.
const MESSAGES_MAX: usize = 256;

/// What the validation layer reported. Outlives the device, so that what is reported at its end can be read.
#[derive(Clone, Debug, Default)]
pub struct ValidationLog(Arc<Mutex<VecDeque<String>>>);

impl ValidationLog {
    /// The latest 256 messages, oldest first.
    pub fn messages(&self) -> Vec<String> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().cloned().collect()
    }

    fn push(&self, message: String) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == MESSAGES_MAX {
            kept.pop_front();
        }
        kept.push_back(message);
    }
}

#[cfg(test)]
impl ValidationLog {
    pub(crate) fn hold(&self, then: impl FnOnce()) {
        let _lock = self.0.lock();
        then();
    }
}

/// Receives messages from an instance.
pub(crate) struct Messenger {
    functions: ext::debug_utils::Instance,
    raw: vk::DebugUtilsMessengerEXT,
    // Boxed: the driver holds its address.
    log: Box<ValidationLog>,
}

impl Messenger {
    /// Starts to listen.
    pub(crate) fn new(entry: &ash::Entry, instance: &ash::Instance) -> Result<Self, OpenError> {
        let functions = ext::debug_utils::Instance::new(entry, instance);
        let log = Box::<ValidationLog>::default();
        let info = vk::DebugUtilsMessengerCreateInfoEXT::default()
            .message_severity(
                vk::DebugUtilsMessageSeverityFlagsEXT::WARNING
                    | vk::DebugUtilsMessageSeverityFlagsEXT::ERROR,
            )
            .message_type(vk::DebugUtilsMessageTypeFlagsEXT::VALIDATION)
            .pfn_user_callback(Some(receive))
            .user_data(std::ptr::from_ref::<ValidationLog>(&log).cast_mut().cast());
        // SAFETY: the extension is enabled (`Instance` enables it whenever validation is on), and `user_data` points into
        // a box that this value keeps until `destroy` has ended the messenger.
        // VUID-VkDebugUtilsMessengerCreateInfoEXT-pfnUserCallback-01914.
        let raw = unsafe { functions.create_debug_utils_messenger(&info, None) }
            .map_err(OpenError::of("vkCreateDebugUtilsMessengerEXT"))?;
        Ok(Self {
            functions,
            raw,
            log,
        })
    }

    pub(crate) fn log(&self) -> ValidationLog {
        (*self.log).clone()
    }

    /// Stops to listen.
    ///
    /// # Safety
    /// The instance still lives, and this is called once.
    pub(crate) unsafe fn destroy(&self) {
        // SAFETY: the caller keeps the instance alive and calls once; no other thread uses the messenger, because the
        // instance's owner calls this from its `drop`. VUID-vkDestroyDebugUtilsMessengerEXT-messenger-parameter.
        unsafe {
            self.functions.destroy_debug_utils_messenger(self.raw, None);
        }
    }
}

/// Called by the validation layer, on any thread.
unsafe extern "system" fn receive(
    _severity: vk::DebugUtilsMessageSeverityFlagsEXT,
    _kind: vk::DebugUtilsMessageTypeFlagsEXT,
    data: *const vk::DebugUtilsMessengerCallbackDataEXT<'_>,
    log: *mut c_void,
) -> vk::Bool32 {
    // A panic must not cross into the layer's code. Losing a message to one is the lesser evil.
    let _ = catch_unwind(|| {
        // SAFETY: `log` is the address that `Messenger::new` gave, whose box outlives the messenger.
        let log = unsafe { log.cast::<ValidationLog>().as_ref() };
        // SAFETY: the layer passes a structure that is valid for the call.
        let data = unsafe { data.as_ref() };
        if let (Some(log), Some(data)) = (log, data) {
            // SAFETY: both are null or strings that end in zero and are valid for the call.
            // VUID-VkDebugUtilsMessengerCallbackDataEXT-pMessage-parameter.
            let (name, text) = unsafe { (text(data.p_message_id_name), text(data.p_message)) };
            log.push(format!("{name}: {text}"));
        }
    });
    vk::FALSE
}

/// # Safety
/// `text` is null, or a string that ends in zero and outlives `'a`.
unsafe fn text<'a>(text: *const std::ffi::c_char) -> Cow<'a, str> {
    if text.is_null() {
        Cow::Borrowed("")
    } else {
        // SAFETY: not null, and the caller promises the rest.
        unsafe { CStr::from_ptr(text) }.to_string_lossy()
    }
}

/// Written to while an instance or a device is made or destroyed. To give a name, the loader walks its lists of both, which it does not lock against that: 1.3.239 crashed where another
/// thread opened or closed a device (2026-11).
pub(crate) static LOADER: RwLock<()> = RwLock::new(());

/// Gives an object a name that messages will use. Does nothing unless validation is on.
pub(crate) fn name<T: vk::Handle>(
    functions: Option<&ext::debug_utils::Device>,
    object: T,
    name: impl FnOnce() -> String,
) {
    let Some(functions) = functions else { return };
    let Ok(name) = CString::new(name()) else {
        return;
    };
    let info = vk::DebugUtilsObjectNameInfoEXT::default()
        .object_handle(object)
        .object_name(&name);
    let _no_other = LOADER.read().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: callers name objects that they have just made on this device and share with no other thread yet.
    // VUID-vkSetDebugUtilsObjectNameEXT-pNameInfo-02587 and its host synchronisation of the object.
    // A name that could not be set is no reason to fail.
    let _ = unsafe { functions.set_debug_utils_object_name(&info) };
}

//! Which device to use.

use std::ffi::OsString;
use std::path::PathBuf;

use tidegate::{Backend, Device, DeviceInfo, Limits, Options, QueueFamily};
use tidegate_vulkan::{OpenError, Select};

use crate::cli::Common;
use crate::failure::Failure;

/// A device that is there and, where it was asked for, is the one asked for. Not opened yet.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    /// None leaves it to the library, which takes the best.
    index: Option<u32>,
    cache_folder: Option<PathBuf>,
    backend: Option<Backend>,
    /// For what goes past the library; None if the device is not Vulkan's.
    vulkan: Option<Select>,
}

impl Choice {
    /// Opens it.
    pub(crate) fn open(&self, family: QueueFamily) -> Result<Device, Failure> {
        self.open_with(family, Limits::default())
    }

    /// Opens it with other limits than the usual.
    pub(crate) fn open_with(&self, family: QueueFamily, limits: Limits) -> Result<Device, Failure> {
        let mut options = Options::default();
        options.device = self.index.map(|it| it.to_string());
        options.backend = self.backend;
        options.queue_family = family;
        options.limits = limits;
        options.cache_folder.clone_from(&self.cache_folder);
        Ok(Device::open(&options)?)
    }

    /// The same among Vulkan's devices, if it is one.
    pub(crate) fn vulkan(&self) -> Option<&Select> {
        self.vulkan.as_ref()
    }
}

/// All devices, in the order of their numbers.
pub(crate) fn all() -> Result<Vec<DeviceInfo>, Failure> {
    let devices = tidegate::devices().map_err(|it| Failure::NoDevice(it.to_string()))?;
    if devices.is_empty() {
        return Err(Failure::NoDevice(OpenError::NoDevice.to_string()));
    }
    Ok(devices)
}

/// Finds the device that the user asked for, before any work starts.
pub(crate) fn choose(common: &Common) -> Result<Choice, Failure> {
    let devices = all()?;
    let cache_folder = match common.no_cache {
        true => None,
        false => cache_folder(|name| std::env::var_os(name)),
    };
    let backend = common.backend.map(crate::cli::BackendName::backend);
    let backends: Vec<&str> = devices.iter().map(|it| it.capabilities.backend).collect();
    let Some(wanted) = &common.device else {
        // The library takes the first backend that has a device.
        let first = backends.first().copied().unwrap_or_default();
        let is_vulkan = backend.map_or(first == "vulkan", |it| it == Backend::Vulkan);
        return Ok(Choice {
            index: None,
            cache_folder,
            backend,
            vulkan: is_vulkan.then_some(Select::Best),
        });
    };
    let names: Vec<&str> = devices
        .iter()
        .map(|it| it.capabilities.name.as_str())
        .collect();
    let index = find(&names, wanted, |it| {
        backend.is_none_or(|backend| backend.to_string() == backends[it])
    })?;
    if let Some(reason) = &devices[index].refusal {
        let name = names[index];
        return Err(Failure::Failed(format!(
            "device {index} ({name}) cannot be used: {reason}"
        )));
    }
    let number = |it: usize| u32::try_from(it).ok();
    let before = backends[..index].iter().filter(|it| **it == "vulkan");
    let place = number(before.count()).filter(|_| backends[index] == "vulkan");
    Ok(Choice {
        index: number(index),
        cache_folder,
        backend,
        vulkan: place.map(Select::Index),
    })
}

/// `tidegate` in the user's folder for what can be made again, wherever the system has it; none if the environment does not say. `variable` reads the environment.
fn cache_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name: &str| {
        let path = variable(name).map(PathBuf::from);
        // A relative path would mean another folder each time (XDG Base Directory Specification).
        path.filter(|it| it.is_absolute())
    };
    let base = if cfg!(windows) {
        folder("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        folder("HOME").map(|it| it.join("Library/Caches"))
    } else {
        folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|it| it.join(".cache")))
    };
    base.map(|it| it.join("tidegate").join("kernels"))
}

/// A device by its number or, where the text is no number, by part of its name in any case of letters: as [`Device::open`] has it. Only this place looks at names, what
/// comes after goes by the number.
pub(crate) fn find(
    names: &[&str],
    wanted: &str,
    is_allowed: impl Fn(usize) -> bool,
) -> Result<usize, Failure> {
    let wanted = wanted.trim();
    if wanted.is_empty() {
        return Err(Failure::usage("--device is empty; give a number or a name"));
    }
    let found = match wanted.parse::<u32>() {
        Ok(index) => Some(index as usize).filter(|it| *it < names.len() && is_allowed(*it)),
        Err(_) => {
            let part = wanted.to_lowercase();
            (0..names.len()).find(|it| is_allowed(*it) && names[*it].to_lowercase().contains(&part))
        }
    };
    found.ok_or_else(|| {
        let known: Vec<String> = names
            .iter()
            .enumerate()
            .filter(|(index, _)| is_allowed(*index))
            .map(|(index, name)| format!("{index} ({name})"))
            .collect();
        if known.is_empty() {
            // As without --device.
            return Failure::NoDevice("there is no device of this --backend".to_owned());
        }
        let known = known.join(", ");
        Failure::Usage(format!(
            "there is no device {wanted:?}; --device takes the number or part of the name of one of: {known}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(all(unix, not(target_os = "macos")))]
    fn kernels_are_kept_in_the_users_cache_folder() {
        let of = |variables: &[(&str, &str)]| {
            cache_folder(|name| {
                let found = variables.iter().find(|it| it.0 == name);
                found.map(|it| it.1.into())
            })
        };
        let (home, xdg) = (("HOME", "/u"), ("XDG_CACHE_HOME", "/c"));
        let expect = |path: &str| Some(PathBuf::from(path));
        assert_eq!(of(&[home]), expect("/u/.cache/tidegate/kernels"));
        assert_eq!(of(&[home, xdg]), expect("/c/tidegate/kernels"));
        let relative = ("XDG_CACHE_HOME", "c");
        assert_eq!(of(&[home, relative]), expect("/u/.cache/tidegate/kernels"));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_device_is_found_by_number_or_name() {
        let names = ["NVIDIA RTX 4090", "llvmpipe (LLVM 15)"];
        for (wanted, index) in [
            ("0", 0),
            ("1", 1),
            (" 1 ", 1),
            ("RTX 4090", 0),
            ("LLVM", 1),
            ("rtx", 0),
        ] {
            assert_eq!(find(&names, wanted, |_| true).unwrap(), index, "{wanted}");
        }
        // 15 and 4090 are numbers, although they are in the names too: nobody gets another device than asked for.
        for wanted in ["2", "15", "4090", "", "-1", "amd"] {
            assert!(
                matches!(find(&names, wanted, |_| true), Err(Failure::Usage(_))),
                "{wanted}"
            );
        }
        assert!(
            matches!(find(&names, "amd", |_| true), Err(Failure::Usage(text)) if text.contains("1 (llvmpipe"))
        );
        assert!(matches!(
            find(&names, "0", |_| false),
            Err(Failure::NoDevice(_))
        ));
        // What another backend has is not there.
        assert_eq!(find(&names, "1", |it| it == 1).unwrap(), 1);
        for wanted in ["0", "rtx"] {
            let refused = find(&names, wanted, |it| it == 1);
            assert!(
                matches!(refused, Err(Failure::Usage(text)) if !text.contains("RTX")),
                "{wanted}"
            );
        }
    }
}

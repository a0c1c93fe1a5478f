//! Is there a Vulkan device here, and the validation layer? The `tidegate` program knows; nothing here loads a driver.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::system::{self, Need};
use crate::terminal;

/// What `tidegate devices --json` says of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) name: String,
    /// The CPU plays the GPU.
    pub(crate) software: bool,
    /// It can be opened, and nothing that Tidegate needs is missing.
    usable: bool,
}

impl Device {
    #[cfg(test)]
    pub(crate) fn usable(name: &str, software: bool) -> Self {
        Self {
            name: name.to_owned(),
            software,
            usable: true,
        }
    }
}

/// Installs Mesa's software driver and looks again if `found`, the usable devices, is empty.
pub(crate) fn ensure_device(
    found: Vec<Device>,
    tidegate: &Path,
    may_install: bool,
) -> Result<Vec<Device>> {
    if !found.is_empty() {
        return Ok(found);
    }
    if !may_install {
        bail!(
            "there is no Vulkan device here that can be used; {}",
            system::advice(Need::VulkanDriver)
        );
    }
    terminal::note(
        "There is no Vulkan device here that can be used. Mesa's driver can play one on the CPU.",
    );
    system::install(&[Need::VulkanDriver])?;
    let devices = devices(tidegate)?;
    if devices.is_empty() {
        bail!(
            "the driver is installed, and still no Vulkan device can be used; see `tidegate devices`"
        );
    }
    Ok(devices)
}

/// The devices that can be used, by `tidegate devices --json`; the others are pointed out. Exit status 1 with an empty list is its word for "none here".
pub(crate) fn devices(tidegate: &Path) -> Result<Vec<Device>> {
    let mut command = Command::new(tidegate);
    let output = command
        .args(["devices", "--json"])
        .stdin(Stdio::null())
        .output();
    let output = output.with_context(|| format!("{} did not start", tidegate.display()))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    for line in complaint.lines().filter(|line| !line.trim().is_empty()) {
        terminal::note(line);
    }
    let found = parse(&output.stdout)
        .with_context(|| format!("`tidegate devices --json` failed ({})", output.status))?;
    Ok(usable(found))
}

/// Points out the others.
fn usable(found: Vec<Device>) -> Vec<Device> {
    let (usable, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|device| device.usable);
    for Device { name, .. } in others {
        terminal::note(&format!(
            "{name} cannot be used; `tidegate devices` says why"
        ));
    }
    usable
}

fn parse(stdout: &[u8]) -> Result<Vec<Device>> {
    let document: Value = serde_json::from_slice(stdout).context("its output is not JSON")?;
    let devices = document["devices"]
        .as_array()
        .context("its JSON has no list `devices`")?;
    let device = |value: &Value| {
        let name = value["name"]
            .as_str()
            .context("a device in its JSON has no `name`")?
            .to_owned();
        let software = value["software"]
            .as_bool()
            .context("a device in its JSON has no `software`")?;
        let usable = value["usable"]
            .as_bool()
            .context("a device in its JSON has no `usable`")?;
        Ok(Device {
            name,
            software,
            usable,
        })
    };
    devices.iter().map(device).collect()
}

/// Installs the validation layer where it is missing.
pub(crate) fn ensure_validation_layer() -> Result<&'static str> {
    if has_validation_layer() {
        return Ok("validation layer present");
    }
    system::install(&[Need::ValidationLayer])?;
    if !has_validation_layer() {
        bail!(
            "the validation layer is installed, and still not in any folder that Vulkan's loader reads"
        );
    }
    Ok("validation layer installed")
}

/// The loader finds a layer by its manifest, in these folders.
fn has_validation_layer() -> bool {
    let listed = |variable: &str| {
        env::var_os(variable)
            .map(|paths| env::split_paths(&paths).collect::<Vec<_>>())
            .unwrap_or_default()
    };
    let explicit: Vec<PathBuf> = [listed("VK_LAYER_PATH"), listed("VK_ADD_LAYER_PATH")].concat();
    let mut shared: Vec<PathBuf> = [
        "/usr/local/etc",
        "/usr/local/share",
        "/etc",
        "/usr/share",
        "/opt/homebrew/share",
    ]
    .map(PathBuf::from)
    .into();
    shared.extend(listed("XDG_DATA_DIRS"));
    shared.extend(listed("XDG_DATA_HOME"));
    shared.extend(env::home_dir().map(|home| home.join(".local/share")));
    let shared = shared
        .into_iter()
        .map(|folder| folder.join("vulkan/explicit_layer.d"));
    explicit
        .into_iter()
        .chain(shared)
        .any(|folder| folder.join("VkLayer_khronos_validation.json").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_device_list() {
        let text = br#"{"devices":[{"name":"llvmpipe","software":true,"usable":true,"api":"1.3"},{"name":"H200","software":false,"usable":true}]}"#;
        let devices = parse(text).unwrap();
        assert_eq!(
            devices,
            [
                Device::usable("llvmpipe", true),
                Device::usable("H200", false)
            ]
        );
        assert!(parse(br#"{"devices":[]}"#).unwrap().is_empty());
    }

    #[test]
    fn a_broken_list_is_an_error_not_an_empty_one() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"devices":[{}]}"#,
            r#"{"devices":[{"name":"x"}]}"#,
            r#"{"devices":[{"name":"x","software":true}]}"#,
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_device_that_cannot_be_used_is_none() {
        let text = br#"{"devices":[{"name":"old","software":false,"usable":false}]}"#;
        let found = usable(parse(text).unwrap());
        assert!(found.is_empty());
        let error = ensure_device(found, Path::new("tidegate"), false).unwrap_err();
        let advice = system::advice(Need::VulkanDriver);
        assert!(error.to_string().contains(&advice), "{error}");
    }
}

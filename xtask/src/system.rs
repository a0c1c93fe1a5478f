//! The system's own packages: what a thing is called there, and installing it where that can be done without asking.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::{shell, terminal};

/// A thing that the system has to provide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// A Vulkan loader and Mesa's software driver.
    VulkanDriver,
    /// Vulkan's validation layer, on in every test.
    ValidationLayer,
    /// A Rust compiler with the source of its library, which can so be compiled for another system.
    LibrarySource,
    /// Python 3 with pip, which fetches the demo's model.
    Pip,
    /// Python 3.11 or later with what makes virtual environments, for TVM.
    Venv,
    /// A C++ compiler, for the side of TVM.
    Compiler,
    /// Clang 19, which compiles kernels for the software Metal classes.
    Clang,
    /// LLVM's linker, which links for Apple's systems where the Rust toolchain brings none.
    Lld,
}

impl Need {
    fn described(self) -> &'static str {
        match self {
            Self::VulkanDriver => "a Vulkan loader and Mesa's software driver",
            Self::ValidationLayer => "Vulkan's validation layer",
            Self::LibrarySource => "a Rust compiler with the source of its library",
            Self::Pip => "Python 3 with pip",
            Self::Venv => "Python 3.11 or later with venv and pip",
            Self::Compiler => "a C++ compiler",
            Self::Clang => "Clang 19",
            Self::Lld => "LLVM's linker",
        }
    }
}

/// The families of package managers that we can name a command for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Apt,
    Dnf,
    Pacman,
    Zypper,
    Apk,
    MacOs,
    Windows,
    Unknown,
}

impl Family {
    fn here() -> Self {
        if cfg!(target_os = "macos") {
            return Self::MacOs;
        }
        if cfg!(windows) {
            return Self::Windows;
        }
        let text = fs::read_to_string("/etc/os-release")
            .or_else(|_| fs::read_to_string("/usr/lib/os-release"));
        Self::from_os_release(&text.unwrap_or_default())
    }

    /// The system itself is asked before the systems that it says it is like.
    fn from_os_release(text: &str) -> Self {
        let value = |key: &str| {
            let line = text
                .lines()
                .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default()
                .trim_matches(['"', '\''])
                .to_lowercase()
        };
        for id in format!("{} {}", value("ID"), value("ID_LIKE")).split_whitespace() {
            match id {
                "debian" | "ubuntu" => return Self::Apt,
                "fedora" | "rhel" | "centos" => return Self::Dnf,
                "arch" => return Self::Pacman,
                "alpine" => return Self::Apk,
                _ if id.contains("suse") => return Self::Zypper,
                _ => {}
            }
        }
        Self::Unknown
    }

    fn packages(self, need: Need) -> &'static [&'static str] {
        match (self, need) {
            (Self::Apt | Self::Apk, Need::Clang) => &["clang-19"],
            (Self::Apt, Need::Lld) => &["lld-19"],
            (Self::Dnf | Self::Pacman | Self::Zypper | Self::Apk, Need::Lld) => &["lld"],
            (Self::Dnf | Self::Pacman | Self::Zypper, Need::Clang) => &["clang"],
            (Self::Apt, Need::VulkanDriver) => &["mesa-vulkan-drivers", "libvulkan1"],
            (Self::Apt | Self::Zypper, Need::ValidationLayer) => &["vulkan-validationlayers"],
            // The compiler that Debian keeps new for its browsers.
            (Self::Apt, Need::LibrarySource) => &["rustc-web", "rust-web-src"],
            // Elsewhere rustup is asked: see `advice`.
            (_, Need::LibrarySource) => &[],
            (Self::Apt | Self::Dnf | Self::Zypper, Need::Pip) => &["python3", "python3-pip"],
            (Self::Dnf, Need::VulkanDriver) => &["mesa-vulkan-drivers", "vulkan-loader"],
            (Self::Pacman, Need::VulkanDriver) => &["vulkan-swrast", "vulkan-icd-loader"],
            (Self::Dnf | Self::Pacman | Self::Apk, Need::ValidationLayer) => {
                &["vulkan-validation-layers"]
            }
            // Debian has `ensurepip` in a package of its own.
            (Self::Apt, Need::Venv) => &["python3", "python3-venv"],
            (Self::Dnf | Self::Zypper, Need::Venv) => &["python3", "python3-pip"],
            (Self::Apt | Self::Apk, Need::Compiler) => &["g++"],
            (Self::Dnf | Self::Zypper, Need::Compiler) => &["gcc-c++"],
            (Self::Pacman, Need::Compiler) => &["gcc"],
            (Self::Pacman, Need::Pip | Need::Venv) => &["python", "python-pip"],
            (Self::Zypper, Need::VulkanDriver) => &["libvulkan_lvp", "libvulkan1"],
            (Self::Apk, Need::VulkanDriver) => &["mesa-vulkan-swrast", "vulkan-loader"],
            (Self::Apk, Need::Pip | Need::Venv) => &["python3", "py3-pip"],
            (Self::MacOs | Self::Windows | Self::Unknown, _) => &[],
        }
    }

    /// What the person does by hand.
    fn advice(self, need: Need) -> String {
        let packages = self.packages(need).join(" ");
        let by_hand = need.described();
        match self {
            Self::Apt => format!("run: sudo apt-get update && sudo apt-get install -y {packages}"),
            _ if need == Need::LibrarySource => {
                "run: rustup target add aarch64-apple-darwin aarch64-apple-ios".to_owned()
            }
            Self::Dnf => format!("run: sudo dnf install -y {packages}"),
            Self::Pacman => format!("run: sudo pacman -S --needed {packages}"),
            Self::Zypper => format!("run: sudo zypper install -y {packages}"),
            Self::Apk => format!("run: sudo apk add {packages}"),
            Self::MacOs if need == Need::Compiler => "run: xcode-select --install".to_owned(),
            Self::Windows if need == Need::Compiler => {
                "run: winget install Microsoft.VisualStudio.2022.BuildTools".to_owned()
            }
            Self::MacOs if matches!(need, Need::Pip | Need::Venv) => {
                "install Python 3 from python.org, or run: brew install python".to_owned()
            }
            Self::MacOs | Self::Windows if need == Need::Clang => {
                "the software Metal classes run on Linux only".to_owned()
            }
            Self::MacOs if need == Need::Lld => "run: brew install lld".to_owned(),
            Self::Windows if need == Need::Lld => "run: winget install LLVM.LLVM".to_owned(),
            Self::MacOs => {
                "macOS has Vulkan through MoltenVK only; run: brew install molten-vk vulkan-loader \
                            vulkan-validationlayers"
                    .to_owned()
            }
            Self::Windows if matches!(need, Need::Pip | Need::Venv) => {
                "run: winget install Python.Python.3.12".to_owned()
            }
            Self::Windows if need == Need::VulkanDriver => {
                "install the newest driver of your GPU from its maker; it brings Vulkan".to_owned()
            }
            Self::Windows => "install the Vulkan SDK; it brings the validation layer".to_owned(),
            Self::Unknown => format!("install {by_hand} with your system's package manager"),
        }
    }
}

/// One sentence that says how the person gets `need` on this system.
pub(crate) fn advice(need: Need) -> String {
    Family::here().advice(need)
}

/// Installs what is needed with apt, or fails with the command to run by hand. Says what it installs before it does.
pub(crate) fn install(needs: &[Need]) -> Result<()> {
    let family = Family::here();
    let by_hand = || {
        needs
            .iter()
            .map(|&need| family.advice(need))
            .collect::<Vec<_>>()
            .join("\n  ")
    };
    if family != Family::Apt || !shell::answers("apt-get", &["--version"]) {
        bail!("this has to be installed by hand:\n  {}", by_hand());
    }
    let Some(rights) = root_rights() else {
        bail!(
            "installing takes root or sudo, and neither is here:\n  {}",
            by_hand()
        );
    };
    let packages: Vec<_> = needs
        .iter()
        .flat_map(|&need| family.packages(need))
        .copied()
        .collect();
    let described: Vec<_> = needs.iter().map(|need| need.described()).collect();
    terminal::step(&format!(
        "Installing {} ({})",
        described.join(" and "),
        packages.join(", ")
    ));
    apt_get(rights, &["update"]).or_else(|error| {
        terminal::warning(&format!(
            "{error:#}; going on with the package lists that are here"
        ));
        Ok::<_, anyhow::Error>(())
    })?;
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(packages);
    apt_get(rights, &arguments)
        .map_err(|error| error.context(format!("installing failed; by hand:\n  {}", by_hand())))
}

/// The words to put before a command that needs root: none as root. A password is asked for only at a terminal.
fn root_rights() -> Option<&'static [&'static str]> {
    let id = Command::new("id")
        .arg("-u")
        .stderr(Stdio::null())
        .output()
        .ok();
    if id.is_some_and(|output| output.stdout.trim_ascii() == b"0") {
        return Some(&[]);
    }
    if shell::answers("sudo", &["-n", "true"]) {
        return Some(&["sudo", "-n"]);
    }
    (io::stdin().is_terminal() && shell::answers("sudo", &["--version"])).then_some(&["sudo"])
}

fn apt_get(rights: &[&str], arguments: &[&str]) -> Result<()> {
    // Another apt may be running, on a fresh machine above all; the environment must pass through sudo.
    let fixed = [
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-q",
        "-o",
        "DPkg::Lock::Timeout=300",
    ];
    let words: Vec<&str> = rights
        .iter()
        .chain(&fixed)
        .chain(arguments)
        .copied()
        .collect();
    let mut command = Command::new(words[0]);
    // Standard output is for what the person asked for.
    command.args(&words[1..]).stdout(io::stderr());
    shell::run(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_told_by_their_release_file() {
        let cases = [
            (
                "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n",
                Family::Apt,
            ),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Family::Apt),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
                Family::Dnf,
            ),
            ("ID=fedora\nVERSION_ID=42", Family::Dnf),
            (
                "ID='opensuse-tumbleweed'\nID_LIKE='opensuse suse'",
                Family::Zypper,
            ),
            ("ID=manjaro\nID_LIKE=arch", Family::Pacman),
            ("ID=alpine", Family::Apk),
            ("VARIANT_ID=debian\nID=nixos", Family::Unknown),
            ("", Family::Unknown),
        ];
        for (text, family) in cases {
            assert_eq!(Family::from_os_release(text), family, "{text}");
        }
    }

    #[test]
    fn every_system_has_an_answer() {
        let families = [
            Family::Apt,
            Family::Dnf,
            Family::Pacman,
            Family::Zypper,
            Family::Apk,
            Family::Unknown,
        ];
        for family in families {
            for need in [
                Need::VulkanDriver,
                Need::ValidationLayer,
                Need::Pip,
                Need::Venv,
                Need::Compiler,
                Need::Clang,
                Need::Lld,
            ] {
                assert_eq!(
                    family.packages(need).is_empty(),
                    family == Family::Unknown,
                    "{family:?} {need:?}"
                );
                assert!(
                    !family.advice(need).trim_end().ends_with(':'),
                    "{family:?} {need:?}"
                );
            }
        }
        for family in families {
            let names_rustup = family
                .advice(Need::LibrarySource)
                .contains("rustup target add");
            assert_eq!(names_rustup, family != Family::Apt, "{family:?}");
        }
        let command =
            "run: sudo apt-get update && sudo apt-get install -y mesa-vulkan-drivers libvulkan1";
        assert_eq!(Family::Apt.advice(Need::VulkanDriver), command);
        let command = "run: sudo apt-get update && sudo apt-get install -y python3 python3-venv";
        assert_eq!(Family::Apt.advice(Need::Venv), command);
    }
}

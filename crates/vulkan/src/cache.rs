//! Compiled pipelines kept between runs: one file for each device and driver, in a folder that the caller names.
//!
//! A file is the driver's own data behind a header of ours. What is damaged, foreign or too large is passed over without a word and written anew: a cache that
//! fails costs time and nothing else. Two processes may use one folder: a file is written under another name and then renamed, and what the other has
//! saved meanwhile is merged first.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ash::vk;

use crate::device::Logical;
use crate::support::Support;

/// Most bytes of one file, and of all files in the folder together; the oldest go first.
const BYTES_MAX: u64 = 64 << 20;
/// Changes with the header, so that older files are passed over.
const FORMAT: u32 = 1;
const MAGIC: [u8; 8] = *b"tidegate";
const HEADER_BYTES: usize = 32;
const PREFIX: &str = "vulkan-";
/// A file under a temporary name that is older was left by a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Where a device's pipelines are kept, and what was found there.
pub(crate) struct Store {
    folder: PathBuf,
    name: String,
    identity: Identity,
    /// Checksum of the data last read or written; another one in the file means that another process has saved.
    known: Option<u64>,
}

/// What the first bytes of a driver's data say of whom it is for (Vulkan, "Pipeline Cache Header").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    vendor: u32,
    device: u32,
    uuid: [u8; vk::UUID_SIZE],
}

impl Store {
    pub(crate) fn new(folder: &Path, support: &Support) -> Self {
        let (vendor, device, driver, uuid) = support.identity();
        let uuid_text: String = uuid.iter().map(|it| format!("{it:02x}")).collect();
        Self {
            folder: folder.to_owned(),
            name: format!(
                "{PREFIX}{vendor:08x}-{device:08x}-{driver:08x}-{uuid_text}-{FORMAT}.cache"
            ),
            identity: Identity {
                vendor,
                device,
                uuid,
            },
            known: None,
        }
    }

    /// The driver's data of earlier runs, if there is any that can be trusted.
    pub(crate) fn load(&mut self) -> Option<Vec<u8>> {
        let (data, checksum) = self.read()?;
        self.known = Some(checksum);
        Some(data)
    }

    /// Keeps what `cache` holds. Nothing is written if that is what the file holds already.
    pub(crate) fn save(&mut self, device: &Logical, cache: vk::PipelineCache) {
        if let Some((data, checksum)) = self.read()
            && self.known != Some(checksum)
        {
            merge(device, cache, &data);
        }
        // SAFETY: the cache is a live one of this device. VUID-vkGetPipelineCacheData-pipelineCache-parameter.
        let Ok(data) = (unsafe { device.raw.get_pipeline_cache_data(cache) }) else {
            return;
        };
        let checksum = checksum(&data);
        if self.known == Some(checksum) || data.len() as u64 > BYTES_MAX - HEADER_BYTES as u64 {
            return;
        }
        if self.write(&data, checksum).is_some() {
            self.known = Some(checksum);
            tidy(&self.folder, BYTES_MAX);
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    fn read(&self) -> Option<(Vec<u8>, u64)> {
        let mut file = Vec::new();
        let opened = fs::File::open(self.path()).ok()?;
        // One byte more than may be, which tells a file that is too long.
        opened.take(BYTES_MAX + 1).read_to_end(&mut file).ok()?;
        let checksum = check(&file, self.identity)?;
        file.drain(..HEADER_BYTES);
        Some((file, checksum))
    }

    fn write(&self, data: &[u8], checksum: u64) -> Option<()> {
        fs::create_dir_all(&self.folder).ok()?;
        let nanos = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |it| it.subsec_nanos());
        let temporary =
            self.folder
                .join(format!("{}-{}-{nanos}.new", self.name, std::process::id()));
        let mut file = header(data, checksum).to_vec();
        file.extend_from_slice(data);
        let written =
            fs::write(&temporary, &file).and_then(|()| fs::rename(&temporary, self.path()));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written.ok()
    }
}

/// Magic, format, a zero, the data's length and its checksum.
fn header(data: &[u8], checksum: u64) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    header[16..24].copy_from_slice(&(data.len() as u64).to_le_bytes());
    header[24..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// The checksum of a file's data, if the whole file is as it was written and for this device.
fn check(file: &[u8], identity: Identity) -> Option<u64> {
    let (found, data) = file.split_at_checked(HEADER_BYTES)?;
    let checksum = checksum(data);
    let whole = file.len() as u64 <= BYTES_MAX && *found == header(data, checksum);
    (whole && identity_of(data)? == identity).then_some(checksum)
}

/// Whom a driver's data is for. Drivers check this too; not all do it well.
fn identity_of(data: &[u8]) -> Option<Identity> {
    let word = |at: usize| Some(u32::from_ne_bytes(data.get(at..at + 4)?.try_into().ok()?));
    let version = vk::PipelineCacheHeaderVersion::ONE.as_raw().cast_unsigned();
    if word(0)? < 32 || word(4)? != version {
        return None;
    }
    Some(Identity {
        vendor: word(8)?,
        device: word(12)?,
        uuid: data.get(16..32)?.try_into().ok()?,
    })
}

/// FNV-1a over words of 8 bytes: it finds damage, and is no protection against malice, which a user's own cache folder needs none from.
fn checksum(data: &[u8]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut sum = 0xcbf2_9ce4_8422_2325_u64 ^ data.len() as u64;
    for chunk in data.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(PRIME);
        // Multiplication carries upwards only: without this the high bits of a word would hardly count.
        sum ^= sum >> 32;
    }
    sum
}

/// Adds what another process has saved.
fn merge(device: &Logical, target: vk::PipelineCache, data: &[u8]) {
    let info = vk::PipelineCacheCreateInfo::default().initial_data(data);
    // SAFETY: the data is as a driver with this identity wrote it (`check`). VUID-VkPipelineCacheCreateInfo-initialDataSize-00769. Both caches are of this
    // device, and nobody else uses the target now: the device is being dropped. VUID-vkMergePipelineCaches-dstCache-00770.
    unsafe {
        if let Ok(other) = device.raw.create_pipeline_cache(&info, None) {
            let _ = device.raw.merge_pipeline_caches(target, &[other]);
            device.raw.destroy_pipeline_cache(other, None);
        }
    }
}

/// Removes what died processes left, and the oldest files until the rest have at most `bytes_max` together.
fn tidy(folder: &Path, bytes_max: u64) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let now = SystemTime::now();
    let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    for entry in entries.flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        let Ok(about) = entry.metadata() else {
            continue;
        };
        if !name.starts_with(PREFIX) || !about.is_file() {
            continue;
        }
        let changed = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let age = now.duration_since(changed).unwrap_or_default();
        if name.ends_with(".cache") {
            files.push((changed, about.len(), path));
        } else if name.ends_with(".new") && age > ABANDONED {
            let _ = fs::remove_file(path);
        }
    }
    files.sort();
    let mut total: u64 = files.iter().map(|it| it.1).sum();
    for (_, bytes, path) in files {
        if total <= bytes_max {
            break;
        }
        let _ = fs::remove_file(path);
        total -= bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity {
        vendor: 0x10de,
        device: 7,
        uuid: [9; 16],
    };

    fn data() -> Vec<u8> {
        let mut data = Vec::new();
        for word in [32, 1, IDENTITY.vendor, IDENTITY.device] {
            data.extend_from_slice(&u32::to_ne_bytes(word));
        }
        data.extend_from_slice(&IDENTITY.uuid);
        data.extend((0..1000_u32).map(|it| (it * 7) as u8));
        data
    }

    fn file() -> Vec<u8> {
        let data = data();
        let mut file = header(&data, checksum(&data)).to_vec();
        file.extend_from_slice(&data);
        file
    }

    #[test]
    fn what_was_written_is_taken() {
        assert_eq!(check(&file(), IDENTITY), Some(checksum(&data())));
    }

    #[test]
    fn every_damage_is_noticed() {
        let good = file();
        for at in 0..good.len() {
            for bit in [0, 3, 7] {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                assert_eq!(check(&bad, IDENTITY), None, "byte {at}, bit {bit}");
            }
        }
        for length in 0..good.len() {
            assert_eq!(check(&good[..length], IDENTITY), None, "cut to {length}");
        }
        let mut longer = good.clone();
        longer.push(0);
        assert_eq!(check(&longer, IDENTITY), None);
    }

    #[test]
    fn what_is_for_another_device_is_not_taken() {
        for other in [
            Identity {
                vendor: 1,
                ..IDENTITY
            },
            Identity {
                device: 8,
                ..IDENTITY
            },
            Identity {
                uuid: [8; 16],
                ..IDENTITY
            },
        ] {
            assert_eq!(check(&file(), other), None);
        }
    }

    /// What a device gives comes back as it was; a file that was damaged is not taken and is then written anew.
    #[test]
    fn a_device_s_cache_survives_damage_and_a_second_process() {
        use crate::{Options, Select, VulkanDevice};
        let folder = std::env::temp_dir().join(format!("tidegate-store-{}", std::process::id()));
        let options = Options {
            validation: true,
            cache_folder: Some(folder.clone()),
            ..Options::default()
        };
        let open = || VulkanDevice::open(&Select::Best, &options).unwrap();
        let device = open();
        let log = device.validation_log();
        let mut store = Store::new(&folder, &device.support);
        assert_eq!(store.load(), None);
        // Two at once: whoever ends last has merged the other.
        drop((open(), device));
        let good = store.load().unwrap();
        assert!(identity_of(&good).is_some());
        let mut file = fs::read(store.path()).unwrap();
        let last = file.len() - 1;
        file[last] ^= 1;
        fs::write(store.path(), &file).unwrap();
        assert_eq!(store.load(), None);
        drop(open());
        assert_eq!(store.load().map(|it| it.len()), Some(good.len()));
        let names: Vec<_> = fs::read_dir(&folder).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
        fs::remove_dir_all(&folder).unwrap();
        // A folder that cannot be made is no reason to fail.
        fs::write(&folder, []).unwrap();
        drop(open());
        fs::remove_file(&folder).unwrap();
        assert_eq!(log.messages(), Vec::<String>::new());
    }

    #[test]
    fn the_oldest_files_go_when_the_folder_is_full() {
        let folder = std::env::temp_dir().join(format!("tidegate-tidy-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let now = SystemTime::now();
        for (name, age) in [
            ("vulkan-a.cache", 30),
            ("vulkan-b.cache", 20),
            ("vulkan-c.cache", 10),
            ("vulkan-d.cache-1-2.new", 7200),
            ("vulkan-e.cache-1-2.new", 1),
            ("other", 90_000),
        ] {
            let path = folder.join(name);
            fs::write(&path, [0; 100]).unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(now - Duration::from_secs(age)).unwrap();
        }
        tidy(&folder, 250);
        let mut left: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|it| it.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let want = [
            "other",
            "vulkan-b.cache",
            "vulkan-c.cache",
            "vulkan-e.cache-1-2.new",
        ];
        assert_eq!(left, want);
        fs::remove_dir_all(&folder).unwrap();
    }
}

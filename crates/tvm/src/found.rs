//! The devices of the system, and which of them are open.

use std::env;
use std::sync::Arc;

use tidegate::{Device, DeviceInfo, Options, Policy};

use crate::cards::Card;
use crate::error::{Result, bail};

/// The devices of the system, those of TVM's indices first.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) slots: Vec<Slot>,
}

#[derive(Debug)]
pub(crate) struct Slot {
    info: DeviceInfo,
    /// Its position among Tidegate's devices.
    position: usize,
    pub(crate) card: Option<Arc<Card>>,
}

impl Found {
    pub(crate) fn new() -> Result<Self> {
        let devices = tidegate::devices()?;
        let all = devices
            .into_iter()
            .enumerate()
            .map(|(position, info)| Slot {
                info,
                position,
                card: None,
            });
        let (mut slots, refused): (Vec<_>, Vec<_>) =
            all.partition(|slot| slot.info.refusal.is_none());
        if let Ok(wanted) = env::var("TIDEGATE_DEVICE") {
            let wanted = wanted.trim();
            let position: Option<usize> = wanted.parse().ok();
            slots.retain(|slot| match position {
                Some(position) => slot.position == position,
                None => slot
                    .info
                    .capabilities
                    .name
                    .to_lowercase()
                    .contains(&wanted.to_lowercase()),
            });
            if slots.is_empty() {
                bail!("TIDEGATE_DEVICE: no device that can be used is `{wanted}`");
            }
        } else if let Ok(best) = Device::open_default() {
            // TVM's device 0 is the one that people get who do not choose.
            let name = &best.capabilities().name;
            slots.sort_by_key(|slot| slot.info.capabilities.name != *name);
        }
        if slots.is_empty() {
            let why: Vec<_> = refused
                .iter()
                .map(|slot| {
                    let name = &slot.info.capabilities.name;
                    format!("{name}: {}", slot.info.refusal.as_deref().unwrap_or("?"))
                })
                .collect();
            bail!("there is no device that can be used {}", why.join("; "));
        }
        Ok(Self { slots })
    }

    pub(crate) fn card(&mut self, index: i32, policy: Policy) -> Result<Arc<Card>> {
        let len = self.slots.len();
        let slot = usize::try_from(index)
            .ok()
            .and_then(|it| self.slots.get_mut(it));
        let Some(slot) = slot else {
            bail!("there is no device {index}: this system has {len}, from 0 on");
        };
        if let Some(card) = &slot.card {
            return Ok(Arc::clone(card));
        }
        let device = Device::open(&Options::default().with_device(slot.position.to_string()))?;
        let card = Card::new(index, device, policy)?;
        if crate::tracing::is_on() {
            card.tracing.begin_for_people(&card.device);
        }
        slot.card = Some(Arc::clone(&card));
        Ok(card)
    }
}

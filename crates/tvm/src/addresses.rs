//! What TVM holds as a pointer to device memory.
//!
//! TVM does arithmetic with such pointers, keeps them after a free if a program is wrong, and mixes them up with pointers of the host. So an allocation gets a range of addresses of its own, which
//! no other has and, until 2^31 more were made, none will have. They are never followed. Every pointer is looked up, and what is not ours is told from what was.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tidegate::Buffer;

use crate::cards::Card;
use crate::error::{Result, bail};

/// Addresses come in pages; an allocation begins at one and has those that it needs, so that one past its end is still its own.
const PAGE_BITS: u32 = 32;
/// Pages that there are. The first is left out: small numbers are null pointers in disguise.
const PAGES: u64 = 1 << 31;

/// Device memory that TVM asked for.
#[derive(Debug)]
pub(crate) struct Allocation {
    pub(crate) card: Arc<Card>,
    /// A little longer than asked for, so that kernels may bind it as any type.
    pub(crate) buffer: Buffer<u8>,
    /// Bytes asked for.
    pub(crate) bytes: u64,
}

/// A place in an allocation.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) allocation: Arc<Allocation>,
    pub(crate) offset: u64,
}

/// All allocations of all devices.
#[derive(Debug, Default)]
pub(crate) struct Addresses(RwLock<Table>);

#[derive(Debug, Default)]
struct Table {
    /// By the number of each of their pages, with the number of the first.
    pages: HashMap<u64, (u64, Arc<Allocation>)>,
    next: u64,
}

impl Addresses {
    /// Gives an allocation its addresses, and returns the first.
    pub(crate) fn add(&self, allocation: Allocation) -> Result<u64> {
        let mut table = self.write();
        let count = (allocation.bytes >> PAGE_BITS) + 1;
        let Some(first) = table.room(count) else {
            bail!("there are no addresses left for {} bytes", allocation.bytes);
        };
        let allocation = Arc::new(allocation);
        for page in first..first + count {
            table.pages.insert(page, (first, Arc::clone(&allocation)));
        }
        table.next = first + count;
        Ok(first << PAGE_BITS)
    }

    /// The place that an address means.
    pub(crate) fn find(&self, address: u64) -> Result<Place> {
        let table = self.read();
        let Some((first, allocation)) = table.pages.get(&(address >> PAGE_BITS)) else {
            return Err(table.stranger(address));
        };
        Ok(Place {
            allocation: Arc::clone(allocation),
            offset: address - (first << PAGE_BITS),
        })
    }

    /// Takes back the addresses of the allocation that begins at `address`. What it was is dropped by the caller, outside of the lock.
    pub(crate) fn remove(&self, address: u64) -> Result<Arc<Allocation>> {
        let mut table = self.write();
        let page = address >> PAGE_BITS;
        let begins = address & ((1 << PAGE_BITS) - 1) == 0;
        match table.pages.get(&page) {
            Some((first, allocation)) if begins && *first == page => {
                let allocation = Arc::clone(allocation);
                for page in page..=page + (allocation.bytes >> PAGE_BITS) {
                    table.pages.remove(&page);
                }
                Ok(allocation)
            }
            Some((first, _)) => bail!(
                "{address:#x} was freed, which lies inside of the allocation at {:#x}: only its start can be freed",
                first << PAGE_BITS
            ),
            None => Err(table.stranger(address)),
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        // Dropped after the lock.
        let pages = std::mem::take(&mut self.write().pages);
        drop(pages);
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// The first of `count` pages in a row that nobody has, from where the last were given on.
    fn room(&self, count: u64) -> Option<u64> {
        let (mut first, mut wrapped) = (self.next.max(1), false);
        loop {
            if first + count > PAGES {
                if wrapped {
                    return None;
                }
                (first, wrapped) = (1, true);
                continue;
            }
            match (first..first + count).rfind(|page| self.pages.contains_key(page)) {
                None => return Some(first),
                Some(taken) => first = taken + 1,
            }
        }
    }

    fn stranger(&self, address: u64) -> crate::error::Error {
        let page = address >> PAGE_BITS;
        crate::error::Error(if (1..self.next).contains(&page) {
            format!("{address:#x} is memory of this device that was freed")
        } else {
            format!(
                "{address:#x} is not memory of this device: it was not allocated here, or belongs to the host or to another runtime"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use tidegate::Policy;

    use super::*;
    use crate::cards::tests::card;

    #[test]
    fn an_address_means_a_place_until_it_is_freed() {
        let card = card(Policy::Adaptive);
        let addresses = Addresses::default();
        let one = addresses.add(card.allocate(100).unwrap()).unwrap();
        let other = addresses.add(card.allocate(0).unwrap()).unwrap();
        assert_ne!(one >> PAGE_BITS, other >> PAGE_BITS);
        let place = addresses.find(one + 100).unwrap();
        assert_eq!((place.offset, place.allocation.bytes), (100, 100));
        assert!(addresses.find(3).is_err());
        assert!(addresses.find(u64::MAX).is_err());
        let told = |outcome: Result<Arc<Allocation>>| outcome.unwrap_err().0;
        assert!(told(addresses.remove(one + 4)).contains("only its start"));
        addresses.remove(one).unwrap();
        assert!(told(addresses.remove(one)).contains("that was freed"));
        assert!(told(addresses.remove(7)).contains("is not memory"));
        assert!(addresses.find(other).is_ok());
        addresses.clear();
        assert!(addresses.find(other).is_err());
    }

    #[test]
    fn pages_are_given_again_only_after_all_others() {
        let card = card(Policy::Adaptive);
        let allocation = Arc::new(card.allocate(1).unwrap());
        let mut table = Table {
            next: PAGES - 2,
            ..Table::default()
        };
        assert_eq!(table.room(2), Some(PAGES - 2));
        assert_eq!(table.room(3), Some(1));
        table.pages.insert(2, (2, Arc::clone(&allocation)));
        table.next = PAGES;
        assert_eq!(table.room(1), Some(1));
        assert_eq!(table.room(2), Some(3));
        assert_eq!(table.room(PAGES), None);
    }
}

//! Keys of 32 bits for those of 64: what `polling` hands back is a machine word.
//!
//! A key is a slot, and the generation of its tenant. The short one has the slot, and as much of the
//! generation as there is room for; the rest is remembered here, by slot. An event that comes late, for
//! a tenant that left, is told from those of the next thousands that have its slot.

use std::io;

const SLOT_BITS: u32 = 20;
const SLOT: u32 = (1 << SLOT_BITS) - 1;

/// The last slot has no keys: `polling` keeps the highest key for itself.
const SLOTS: u32 = SLOT;

/// The keys that were shortened last, by slot.
#[derive(Default)]
pub(super) struct ShortKeys {
    whole: Vec<Option<u64>>,
}

fn short(key: u64) -> u32 {
    let (slot, generation) = (key as u32, (key >> 32) as u32);
    generation << SLOT_BITS | slot & SLOT
}

impl ShortKeys {
    /// From here on its slot is this key's.
    pub(super) fn shorten(&mut self, key: u64) -> io::Result<u32> {
        let slot = key as u32;
        if slot >= SLOTS {
            let message =
                format!("an event loop has room for {SLOTS} descriptors here, and no more");
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, message));
        }
        let slot = slot as usize;
        if self.whole.len() <= slot {
            self.whole.resize(slot + 1, None);
        }
        self.whole[slot] = Some(key);
        Ok(short(key))
    }

    /// The key whose slot it is now. `None`: it was another's.
    pub(super) fn whole(&self, key: u32) -> Option<u64> {
        let whole = *self.whole.get((key & SLOT) as usize)?;
        whole.filter(|&whole| short(whole) == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(slot: u32, generation: u32) -> u64 {
        u64::from(generation) << 32 | u64::from(slot)
    }

    #[test]
    fn shortened_then_whole_again() {
        let mut keys = ShortKeys::default();
        let all = [key(0, 0), key(1, 7), key(2, u32::MAX), key(SLOTS - 1, u32::MAX)];
        let short = all.map(|key| keys.shorten(key).unwrap());
        assert_eq!(short.map(|key| keys.whole(key)), all.map(Some));
        assert!(!short.contains(&u32::MAX), "which is not ours to use");
        // Again, as for another interest.
        assert_eq!(all.map(|key| keys.shorten(key).unwrap()), short);
    }

    #[test]
    fn a_late_one_is_told_from_those_that_have_its_slot_now() {
        let mut keys = ShortKeys::default();
        for generation in [0, 1, 4095, 4096, 123_456, u32::MAX - 1] {
            let late = keys.shorten(key(3, generation)).unwrap();
            for next in 1..4096 {
                let next = key(3, generation.wrapping_add(next));
                let short = keys.shorten(next).unwrap();
                assert_eq!((keys.whole(late), keys.whole(short)), (None, Some(next)));
            }
        }
        assert_eq!(keys.whole(2), None, "of a slot that nobody has had");
        assert_eq!(keys.whole(4), None);
    }

    #[test]
    fn more_than_there_is_room_for_is_an_error() {
        let refused = ShortKeys::default().shorten(key(SLOTS, 0)).unwrap_err();
        assert!(refused.to_string().contains("1048575 descriptors"), "{refused}");
    }
}

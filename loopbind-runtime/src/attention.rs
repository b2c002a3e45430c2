//! What a run must see to between two iterations, in one word: most of the time it is zero.

use std::cell::Cell;

#[derive(Debug, Default)]
pub(crate) struct Attention(Cell<u8>);

/// One thing to see to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Matter {
    /// The run ends after this iteration.
    Stop = 1,
    /// A panic that nobody received is on its way out of the run.
    Escape = 2,
    /// There is an instant at which runs end.
    Watchdog = 4,
    /// Nothing came, and nothing is left to come.
    DeadEnd = 8,
    /// The main future is done: the run ends once what was ready by then has run.
    Done = 16,
}

impl Attention {
    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.get() != 0
    }

    #[inline]
    pub(crate) fn is_wanted_for(&self, matter: Matter) -> bool {
        self.0.get() & matter as u8 != 0
    }

    pub(crate) fn call_for(&self, matter: Matter) {
        self.0.set(self.0.get() | matter as u8);
    }

    pub(crate) fn settle(&self, matter: Matter) {
        self.0.set(self.0.get() & !(matter as u8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_matter_by_itself() {
        let attention = Attention::default();
        attention.call_for(Matter::Stop);
        attention.call_for(Matter::Watchdog);
        assert!(attention.is_wanted_for(Matter::Stop) && !attention.is_wanted_for(Matter::Escape));
        attention.settle(Matter::Stop);
        assert!(attention.is_wanted() && !attention.is_wanted_for(Matter::Stop));
        attention.settle(Matter::Watchdog);
        assert!(!attention.is_wanted());
    }
}

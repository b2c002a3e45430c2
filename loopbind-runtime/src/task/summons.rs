//! How a loop that sleeps is called: by its bell, which ends a wait for descriptors, or where it is the
//! guest of a host that does the waiting, by the host's waker.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::panic::{caught, discard};
use crate::sys::Bell;

pub(super) struct Summons {
    /// A lock, because whoever rings must not find the number of a descriptor that was closed meanwhile;
    /// it is taken only to wake a sleeper, and by a guest as it goes to sleep.
    ways: Mutex<Ways>,
    /// The last ring failed.
    unheard: AtomicBool,
}

struct Ways {
    /// Gone once the loop is closed.
    bell: Option<Bell>,
    /// Shared by us, so that to take a share of it is no code of the host's.
    host: Option<Arc<Waker>>,
}

impl Summons {
    pub(super) fn by(bell: Bell) -> Self {
        let ways = Ways { bell: Some(bell), host: None };
        Summons { ways: Mutex::new(ways), unheard: AtomicBool::new(false) }
    }

    fn ways(&self) -> MutexGuard<'_, Ways> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the loop's sleep. The error of a ring, unless the one before failed as well.
    pub(super) fn call(&self) -> io::Result<()> {
        let rung = {
            let ways = self.ways();
            match (&ways.host, &ways.bell) {
                (None, None) => return Ok(()),
                (None, Some(bell)) => bell.ring(),
                (Some(host), _) => {
                    // Somebody else's code: called with the lock released.
                    let host = Arc::clone(host);
                    drop(ways);
                    caught(|| host.wake_by_ref()).map_err(|payload| {
                        discard(payload);
                        io::Error::other("the waker of the loop's host panicked")
                    })
                }
            }
        };
        let before = self.unheard.swap(rung.is_err(), Ordering::Relaxed);
        if before { Ok(()) } else { rung }
    }

    pub(super) fn went_unheard(&self) -> bool {
        self.unheard.load(Ordering::Relaxed)
    }

    pub(super) fn sleep_at(&self, host: Option<&Waker>) {
        let same = |known: &Option<Arc<Waker>>| match (known, host) {
            (Some(known), Some(host)) => known.will_wake(host),
            (known, host) => known.is_none() && host.is_none(),
        };
        if same(&self.ways().host) {
            return;
        }
        // Cloned before the lock is taken, and the old one dropped behind it.
        let mut host = host.cloned().map(Arc::new);
        std::mem::swap(&mut self.ways().host, &mut host);
        drop(host);
    }

    pub(super) fn remove_bell(&self) -> Option<Bell> {
        self.ways().bell.take()
    }

    /// In a forked child, where the thread that held the lock may not be.
    pub(super) fn remove_inherited_bell(&self) {
        if let Ok(mut ways) = self.ways.try_lock() {
            ways.bell.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;

    struct Angry;

    impl Wake for Angry {
        fn wake(self: Arc<Self>) {
            panic!("angry");
        }
    }

    /// Who wakes a task of a guest's is not left by what the host's waker throws.
    #[test]
    fn a_hosts_waker_that_panics_is_an_error_of_the_ring() {
        let ways = Ways { bell: None, host: Some(Arc::new(Waker::from(Arc::new(Angry)))) };
        let summons = Summons { ways: Mutex::new(ways), unheard: AtomicBool::new(false) };
        assert!(summons.call().unwrap_err().to_string().contains("panicked"));
        assert!(summons.went_unheard());
    }
}

//! Ways from other threads to a loop, counted: one that nobody can reach any more may be given up.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::home::Home;
use crate::clock::ClockKind;

/// A way from other threads to a loop, that may yet be used: a handle of it, or something of another
/// loop's that one of its tasks awaits. A loop to which one leads is not given up for dead.
pub(crate) struct Tie {
    home: Arc<Home>,
}

impl Tie {
    pub(crate) fn to(home: &Arc<Home>) -> Self {
        home.ties.fetch_add(1, Ordering::Relaxed);
        Tie { home: Arc::clone(home) }
    }
}

impl Deref for Tie {
    type Target = Arc<Home>;

    fn deref(&self) -> &Arc<Home> {
        &self.home
    }
}

impl Clone for Tie {
    fn clone(&self) -> Self {
        Tie::to(&self.home)
    }
}

impl Drop for Tie {
    fn drop(&mut self) {
        // Release: what was posted by it is seen by who finds it gone.
        let was_last = self.home.ties.fetch_sub(1, Ordering::Release) == 1;
        // A virtual-time loop may sleep for nobody now, or be on its way to: it looks again.
        if was_last && self.home.clock == ClockKind::Virtual && self.home.at_home().is_none() {
            self.home.ring();
        }
    }
}

//! The bell a loop sleeps on, and the sleeping, as `engine/turn.rs` and `sys/` have them.

use loom::sync::{Condvar, Mutex};

use crate::inbox::Inbox;

/// An eventfd: rung once or more, it ends one sleep.
#[derive(Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    ringing: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.ringing.notify_one();
    }

    pub(crate) fn sleep(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.ringing.wait(rung).unwrap();
        }
        *rung = false;
    }
}

/// Sleeps until something is posted. A sleep that nobody ends is a deadlock, which the checker finds.
pub(crate) fn rest(inbox: &Inbox, bell: &Bell) {
    if inbox.park() {
        bell.sleep();
        inbox.unpark();
    }
}

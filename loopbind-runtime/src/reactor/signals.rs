//! A loop's ears: who is told, on this loop, that a signal came.
//!
//! The loop watches the process's one signal descriptor while anybody listens here, and asks each
//! listener's counter when it rings.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::task::Waker;

use super::callback::Callback;
use super::{Key, Reactor, Tenant};
use crate::panic::{caught, discard};
use crate::sys::{Interest, Listening, SignalKind};
use crate::task::{ExceptionContext, LocalHome};

/// Who listens on one loop, in the order in which they began to.
#[derive(Default)]
pub(super) struct Ears {
    listeners: RefCell<Vec<Rc<Listener>>>,
    place: Cell<Option<Key>>,
}

/// One who listens.
pub(crate) struct Listener {
    listening: Listening,
    told: Told,
}

enum Told {
    /// Whoever awaits; it takes what came by itself.
    Waiter(RefCell<Option<Waker>>),
    Callback(Rc<Callback>),
}

impl Listener {
    /// One that takes signals by itself, and can be woken for them.
    pub(crate) fn waiter(listening: Listening) -> Rc<Self> {
        Rc::new(Listener { listening, told: Told::Waiter(RefCell::default()) })
    }

    pub(crate) fn kind(&self) -> SignalKind {
        self.listening.kind()
    }

    /// Takes what came: true if anything did, once for all of it.
    pub(crate) fn take(&self) -> bool {
        self.listening.take()
    }

    /// Leaves `waker` to be woken by the next signal.
    pub(crate) fn wait(&self, waker: &Waker) {
        if let Told::Waiter(place) = &self.told {
            let known = place.borrow().as_ref().is_some_and(|known| known.will_wake(waker));
            if !known {
                let waker = waker.clone();
                let stale = place.replace(Some(waker));
                drop(stale);
            }
        }
    }

    fn hear(&self, home: &LocalHome) {
        match &self.told {
            Told::Waiter(waker) if self.listening.has_heard() => {
                let waker = waker.take();
                if let Err(payload) = caught(move || waker.map(Waker::wake)) {
                    let context = ExceptionContext::panicked("exception in a waker", payload);
                    home.local().report(context);
                }
            }
            Told::Callback(callback) if self.listening.take() => {
                let callback = Rc::clone(callback);
                home.queue(home.callback(move || callback.run()));
            }
            _ => {}
        }
    }
}

impl Ears {
    pub(super) fn has_listeners(&self) -> bool {
        !self.listeners.borrow().is_empty()
    }

    pub(super) fn deliver(&self, home: &LocalHome) {
        let listeners = self.listeners.borrow().clone();
        for listener in &listeners {
            listener.hear(home);
        }
        discard(listeners);
    }

    /// The loop is closed.
    pub(super) fn evict(&self) {
        self.place.set(None);
        let listeners = self.listeners.take();
        for listener in &listeners {
            match &listener.told {
                Told::Waiter(waker) => {
                    let waker = waker.take();
                    let _ = caught(move || waker.map(Waker::wake));
                }
                Told::Callback(callback) => callback.evict(),
            }
        }
        discard(listeners);
    }
}

impl Reactor {
    /// Has `listener` told of signals here.
    pub(crate) fn hear(&self, listener: &Rc<Listener>) -> io::Result<()> {
        let ears = &self.ears;
        if ears.listeners.borrow().iter().any(|known| Rc::ptr_eq(known, listener)) {
            return Ok(());
        }
        if ears.place.get().is_none() {
            let fd = listener.listening.descriptor();
            // What came before the registration is reported by it.
            let key = self.register(fd, Tenant::Ears(Rc::clone(ears)), Interest::Edges)?;
            ears.place.set(Some(key));
        }
        ears.listeners.borrow_mut().push(Rc::clone(listener));
        Ok(())
    }

    /// Has `listener` told no more. True: it was.
    pub(crate) fn ignore(&self, listener: &Rc<Listener>) -> bool {
        let ears = &self.ears;
        let mut listeners = ears.listeners.borrow_mut();
        let Some(at) = listeners.iter().position(|known| Rc::ptr_eq(known, listener)) else {
            return false;
        };
        let listener = listeners.remove(at);
        let last = listeners.is_empty();
        drop(listeners);
        if let Some(key) = last.then(|| ears.place.take()).flatten() {
            self.deregister(key);
        }
        discard(listener);
        true
    }

    /// Has `call` called for each signal of this kind, in the place of the one that was before.
    pub(crate) fn call_on_signal(
        &self,
        kind: SignalKind,
        call: impl FnMut() + 'static,
    ) -> io::Result<()> {
        let listening = Listening::begin(kind)?;
        let told = Told::Callback(Callback::new(call));
        let before = self.callback_for(kind);
        self.hear(&Rc::new(Listener { listening, told }))?;
        if let Some(before) = before {
            self.end_callback(&before);
        }
        Ok(())
    }

    /// False: there was none.
    pub(crate) fn forget_signal(&self, kind: SignalKind) -> bool {
        match self.callback_for(kind) {
            Some(listener) => {
                self.end_callback(&listener);
                true
            }
            None => false,
        }
    }

    fn callback_for(&self, kind: SignalKind) -> Option<Rc<Listener>> {
        let listeners = self.ears.listeners.borrow();
        let calls = |listener: &&Rc<Listener>| matches!(listener.told, Told::Callback(_));
        listeners.iter().filter(calls).find(|listener| listener.kind() == kind).cloned()
    }

    fn end_callback(&self, listener: &Rc<Listener>) {
        self.ignore(listener);
        // One that is queued is not called any more.
        if let Told::Callback(callback) = &listener.told {
            callback.end();
        }
    }
}

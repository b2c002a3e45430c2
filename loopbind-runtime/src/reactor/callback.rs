//! What a loop calls when something is seen: not once, as queued callbacks are, but each time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::panic::discard;
use crate::task::{copy_current, within};

/// A callback that is called again and again, until it is ended.
pub(super) struct Callback {
    /// Out while it runs.
    call: RefCell<Option<Box<dyn FnMut()>>>,
    over: Cell<bool>,
}

impl Callback {
    /// It is called in a copy of the context that is current now, the same one each time. CTX-03.
    pub(super) fn new(mut call: impl FnMut() + 'static) -> Rc<Self> {
        let context = copy_current();
        let call = Box::new(move || within(&context, &mut call));
        Rc::new(Callback { call: RefCell::new(Some(call)), over: Cell::new(false) })
    }

    pub(super) fn run(self: &Rc<Self>) {
        // Put back also by a panic: the watch goes on, as asyncio's does.
        struct Return<'a>(&'a Callback, Option<Box<dyn FnMut()>>);
        impl Drop for Return<'_> {
            fn drop(&mut self) {
                let call = self.1.take();
                if self.0.over.get() {
                    let_go(call);
                } else {
                    self.0.call.replace(call);
                }
            }
        }
        if self.over.get() {
            return;
        }
        let Some(call) = self.call.take() else { return };
        let mut out = Return(self, Some(call));
        if let Some(call) = &mut out.1 {
            call();
        }
    }

    /// It is called no more; dropped now, or at the end of the call that is on.
    pub(super) fn end(&self) {
        self.over.set(true);
        let_go(self.call.take());
    }

    /// The same, as the loop closes: nobody could receive what its destructor throws.
    pub(super) fn evict(&self) {
        self.over.set(true);
        discard(self.call.take());
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }
}

/// What its destructor throws goes to whoever ended it, unless something is thrown there already.
fn let_go(call: Option<Box<dyn FnMut()>>) {
    if std::thread::panicking() { discard(call) } else { drop(call) }
}

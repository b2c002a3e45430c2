//! One value that changes, and those who watch it: they see the latest, not each.
//!
//! Who looks at the value has a share in it: it can be replaced meanwhile, and who looks goes on looking at what
//! was there before. Destructors, closures and comparisons of values find nothing borrowed but what they were
//! lent.

mod receiver;
mod sender;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::rc::Rc;

use super::line::Line;

pub use super::closed::{Closed, SendError};
pub use receiver::Receiver;
pub use sender::Sender;

/// A channel with a value in it from the start.
///
/// ```
/// use loopbind::spawn;
/// use loopbind::sync::watch;
///
/// loopbind::run(async {
///     let (sender, mut receiver) = watch::channel("cold");
///     spawn(async move { sender.send("hot") });
///     receiver.changed().await.unwrap();
///     assert_eq!(*receiver.borrow(), "hot");
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared {
        value: RefCell::new(Rc::new(value)),
        version: Cell::new(0),
        senders: Cell::new(0),
        receivers: Cell::new(0),
        changed: Line::new(),
        closed: Line::new(),
    });
    let receiver = Receiver::of(Rc::clone(&shared), 0);
    (Sender::of(shared), receiver)
}

struct Shared<T> {
    value: RefCell<Rc<T>>,
    /// How often it was sent, or modified.
    version: Cell<u64>,
    senders: Cell<usize>,
    receivers: Cell<usize>,
    /// Who waits for another version.
    changed: Line,
    /// Who waits for the last receiver to go.
    closed: Line,
}

impl<T> Shared<T> {
    #[track_caller]
    fn borrow<'a>(&self, has_changed: bool) -> Ref<'a, T> {
        let Ok(value) = self.value.try_borrow() else {
            panic!("the watched value is being modified: it cannot be looked at from in there")
        };
        Ref { value: Rc::clone(&value), has_changed, _life: PhantomData }
    }
}

/// A look at a watched value.
///
/// What is sent meanwhile takes the place of this value in the channel, and leaves it as it is here. Modifying
/// it in place is not possible meanwhile: see [`Sender::send_modify`].
///
/// ```
/// use loopbind::sync::watch;
///
/// let (sender, receiver) = watch::channel(1);
/// let before = receiver.borrow();
/// sender.send(2).unwrap();
/// assert_eq!((*before, *receiver.borrow()), (1, 2));
/// ```
#[must_use = "looking changes nothing"]
pub struct Ref<'a, T> {
    value: Rc<T>,
    has_changed: bool,
    _life: PhantomData<&'a T>,
}

impl<T> Ref<'_, T> {
    /// Whether the receiver that gave it had not seen this value before; a sender has seen all.
    ///
    /// ```
    /// use loopbind::sync::watch;
    ///
    /// let (sender, mut receiver) = watch::channel(1);
    /// assert!(!receiver.borrow().has_changed());
    /// sender.send(2).unwrap();
    /// assert!(receiver.borrow_and_update().has_changed());
    /// assert!(!receiver.borrow().has_changed());
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Ref");
        debug.field("value", &*self.value).field("has_changed", &self.has_changed).finish()
    }
}

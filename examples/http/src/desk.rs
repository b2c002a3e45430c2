//! What is of the loop's thread, for code that has to be `Send`: questions go by a channel to a task that has it.

use std::cell::Cell;
use std::rc::Rc;

use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use loopbind::spawn;

/// Where handlers of the router ask. The channel is one for threads, so that its ends are `Send`; nobody here is on
/// another one.
#[derive(Clone)]
pub(crate) struct Desk {
    visitors: mpsc::UnboundedSender<oneshot::Sender<u64>>,
}

impl Desk {
    /// The task ends when nobody is left who could ask.
    pub(crate) fn open(visits: Rc<Cell<u64>>) -> Desk {
        let (visitors, mut queue) = mpsc::unbounded::<oneshot::Sender<u64>>();
        let clerk = async move {
            while let Some(visitor) = queue.next().await {
                visits.set(visits.get() + 1);
                // Who does not wait any more does not hear of it.
                let _ = visitor.send(visits.get());
            }
        };
        spawn(clerk).detach();
        Desk { visitors }
    }

    /// Counts a visit, and tells which it was; none once the loop is ending.
    pub(crate) async fn visit(&self) -> Option<u64> {
        let (visitor, answer) = oneshot::channel();
        self.visitors.unbounded_send(visitor).ok()?;
        answer.await.ok()
    }
}

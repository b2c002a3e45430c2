//! Queues and channels: values on their way from task to task.

use std::rc::Rc;

use futures::StreamExt;
use loopbind::sync::{Queue, broadcast, mpsc, oneshot, watch};
use loopbind::{spawn, yield_now};

use crate::row::Row;
use crate::row::Whose::{Futures, LocalSync, Loopbind, Tokio};

const ITEMS: usize = 100_000;
const MANY: usize = 10_000_000;
const BATCH: usize = 100;
const RECEIVERS: usize = 4;

pub fn rows() -> Vec<Row> {
    let mut rows = vec![oneshot(), unbounded(), bounded("channel with 1 place", 1)];
    rows.push(bounded("channel with 100 places", BATCH));
    rows.extend([queue("queue, 100 places", ITEMS), queue("queue, ten million items", MANY)]);
    rows.extend([watch(), broadcast()]);
    rows
}

impl Row {
    /// One task sends, and gives way after each batch; another receives.
    fn pump<S: 'static, R: 'static>(
        self,
        whose: crate::row::Whose,
        batch: usize,
        ends: impl Fn() -> (S, R) + 'static,
        send: impl AsyncFn(&S, usize) + Copy + 'static,
        receive: impl AsyncFn(&mut R) -> usize + 'static,
    ) -> Self {
        self.by(whose, move |event_loop, n| {
            let (sender, mut receiver) = ends();
            let all = async {
                let sends = spawn(async move {
                    for item in 0..n {
                        send(&sender, item).await;
                        if (item + 1) % batch == 0 {
                            yield_now().await;
                        }
                    }
                });
                let mut sum = 0;
                for _ in 0..n {
                    sum += receive(&mut receiver).await;
                }
                assert_eq!(sum, n * (n - 1) / 2, "nothing is lost");
                sends.await.expect("no task of a workload fails");
            };
            event_loop.run_until_complete(all).expect("nothing stops it");
        })
    }
}

fn oneshot() -> Row {
    Row::new("oneshot", ITEMS)
        .alone(Loopbind, (), async |()| {
            let (sender, receiver) = oneshot::channel();
            sender.send(1).expect("it is received");
            receiver.await.expect("it was sent");
        })
        .alone(Tokio, (), async |()| {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            sender.send(1).expect("it is received");
            receiver.await.expect("it was sent");
        })
        .alone(Futures, (), async |()| {
            let (sender, receiver) = futures::channel::oneshot::channel();
            sender.send(1).expect("it is received");
            receiver.await.expect("it was sent");
        })
        .alone(LocalSync, (), async |()| {
            let (sender, receiver) = local_sync::oneshot::channel();
            sender.send(1).expect("it is received");
            receiver.await.expect("it was sent");
        })
}

fn unbounded() -> Row {
    Row::new("channel without a bound, in batches of 100", ITEMS)
        .pump(
            Loopbind,
            BATCH,
            mpsc::unbounded,
            async |sender, item| sender.send(item).await.expect("it is received"),
            async |receiver: &mut mpsc::Receiver<usize>| receiver.recv().await.expect("it is sent"),
        )
        .pump(
            Tokio,
            BATCH,
            tokio::sync::mpsc::unbounded_channel,
            async |sender, item| sender.send(item).expect("it is received"),
            async |receiver: &mut tokio::sync::mpsc::UnboundedReceiver<usize>| {
                receiver.recv().await.expect("it is sent")
            },
        )
        .pump(
            Futures,
            BATCH,
            futures::channel::mpsc::unbounded,
            async |sender, item| sender.unbounded_send(item).expect("it is received"),
            async |receiver: &mut futures::channel::mpsc::UnboundedReceiver<usize>| {
                receiver.next().await.expect("it is sent")
            },
        )
        .pump(
            LocalSync,
            BATCH,
            local_sync::mpsc::unbounded::channel,
            async |sender, item| sender.send(item).expect("it is received"),
            async |receiver: &mut local_sync::mpsc::unbounded::Rx<usize>| {
                receiver.recv().await.expect("it is sent")
            },
        )
}

fn bounded(name: &'static str, places: usize) -> Row {
    Row::new(name, ITEMS)
        .pump(
            Loopbind,
            usize::MAX,
            move || mpsc::bounded(places),
            async |sender, item| sender.send(item).await.expect("it is received"),
            async |receiver: &mut mpsc::Receiver<usize>| receiver.recv().await.expect("it is sent"),
        )
        .pump(
            Tokio,
            usize::MAX,
            move || tokio::sync::mpsc::channel(places),
            async |sender, item| sender.send(item).await.expect("it is received"),
            async |receiver: &mut tokio::sync::mpsc::Receiver<usize>| {
                receiver.recv().await.expect("it is sent")
            },
        )
        .pump(
            LocalSync,
            usize::MAX,
            move || local_sync::mpsc::bounded::channel(places),
            async |sender, item| sender.send(item).await.expect("it is received"),
            async |receiver: &mut local_sync::mpsc::bounded::Rx<usize>| {
                receiver.recv().await.expect("it is sent")
            },
        )
}

/// tokio has no queue; its channel is the nearest.
fn queue(name: &'static str, items: usize) -> Row {
    Row::new(name, items)
        .pump(
            Loopbind,
            usize::MAX,
            || {
                let queue = Rc::new(Queue::bounded(BATCH));
                (Rc::clone(&queue), queue)
            },
            async |queue, item| queue.put(item).await.expect("it is not shut down"),
            async |queue: &mut Rc<Queue<usize>>| {
                let item = queue.get().await.expect("it is not shut down");
                queue.task_done();
                item
            },
        )
        .pump(
            Tokio,
            usize::MAX,
            || tokio::sync::mpsc::channel(BATCH),
            async |sender, item| sender.send(item).await.expect("it is received"),
            async |receiver: &mut tokio::sync::mpsc::Receiver<usize>| {
                receiver.recv().await.expect("it is sent")
            },
        )
}

/// Each value is waited for.
fn watch() -> Row {
    Row::new("watch, each change waited for", ITEMS)
        .pump(
            Loopbind,
            1,
            || watch::channel(0),
            async |sender, item| sender.send(item).expect("it is watched"),
            async |receiver: &mut watch::Receiver<usize>| {
                receiver.changed().await.expect("it is sent");
                *receiver.borrow_and_update()
            },
        )
        .pump(
            Tokio,
            1,
            || tokio::sync::watch::channel(0),
            async |sender, item| sender.send(item).expect("it is watched"),
            async |receiver: &mut tokio::sync::watch::Receiver<usize>| {
                receiver.changed().await.expect("it is sent");
                *receiver.borrow_and_update()
            },
        )
}

/// In batches of 50; each of four receives everything.
fn broadcast() -> Row {
    Row::new("broadcast to 4, for each item", ITEMS)
        .by(Loopbind, |event_loop, n| {
            let (sender, receiver) = broadcast::channel(BATCH);
            let all = async {
                let receivers: Vec<_> = (0..RECEIVERS)
                    .map(|_| {
                        let mut receiver = receiver.resubscribe();
                        spawn(async move {
                            let mut received = 0;
                            while receiver.recv().await.is_ok() {
                                received += 1;
                            }
                            received
                        })
                    })
                    .collect();
                drop(receiver);
                for item in 0..n {
                    sender.send(item).expect("it is received");
                    if item % (BATCH / 2) == 0 {
                        yield_now().await;
                    }
                }
                drop(sender);
                for receiver in receivers {
                    assert_eq!(receiver.await.ok(), Some(n), "nobody missed any");
                }
            };
            event_loop.run_until_complete(all).expect("nothing stops it");
        })
        .by(Tokio, |event_loop, n| {
            let (sender, receiver) = tokio::sync::broadcast::channel(BATCH);
            let all = async {
                let receivers: Vec<_> = (0..RECEIVERS)
                    .map(|_| {
                        let mut receiver = receiver.resubscribe();
                        spawn(async move {
                            let mut received = 0;
                            while receiver.recv().await.is_ok() {
                                received += 1;
                            }
                            received
                        })
                    })
                    .collect();
                drop(receiver);
                for item in 0..n {
                    sender.send(item).expect("it is received");
                    if item % (BATCH / 2) == 0 {
                        yield_now().await;
                    }
                }
                drop(sender);
                for receiver in receivers {
                    assert_eq!(receiver.await.ok(), Some(n), "nobody missed any");
                }
            };
            event_loop.run_until_complete(all).expect("nothing stops it");
        })
}

//! A row of the table: one thing to do, and who does it.

use std::rc::Rc;

use loopbind::{EventLoop, spawn};

#[derive(Clone, Copy, PartialEq)]
pub enum Whose {
    Loopbind,
    Tokio,
    AsyncLock,
    Futures,
    LocalSync,
    Unsync,
}

impl Whose {
    pub const ALL: [Whose; 6] = [
        Whose::Loopbind,
        Whose::Tokio,
        Whose::AsyncLock,
        Whose::Futures,
        Whose::LocalSync,
        Whose::Unsync,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Whose::Loopbind => "loopbind",
            Whose::Tokio => "tokio::sync",
            Whose::AsyncLock => "async-lock",
            Whose::Futures => "futures",
            Whose::LocalSync => "local-sync",
            Whose::Unsync => "unsync",
        }
    }
}

pub struct Row {
    pub name: &'static str,
    /// In one measurement: some milliseconds of work.
    pub operations: usize,
    pub contenders: Vec<Contender>,
}

/// So many operations on a loop.
pub type Perform = dyn FnMut(&EventLoop, usize);

pub struct Contender {
    pub whose: Whose,
    pub perform: Box<Perform>,
    pub least: f64,
}

impl Row {
    pub fn new(name: &'static str, operations: usize) -> Self {
        Row { name, operations, contenders: Vec::new() }
    }

    /// Does `n` operations on `event_loop`, however it likes.
    pub fn by(mut self, whose: Whose, perform: impl FnMut(&EventLoop, usize) + 'static) -> Self {
        let perform = Box::new(perform);
        self.contenders.push(Contender { whose, perform, least: f64::INFINITY });
        self
    }

    /// One task takes each step after the other.
    pub fn alone<L: 'static>(
        self,
        whose: Whose,
        subject: L,
        step: impl AsyncFn(&L) + 'static,
    ) -> Self {
        self.by(whose, move |event_loop, n| {
            let all = async {
                for _ in 0..n {
                    step(&subject).await;
                }
            };
            event_loop.run_until_complete(all).expect("nothing stops it");
        })
    }

    /// So many tasks take the steps together.
    pub fn crowd<L: 'static>(
        self,
        whose: Whose,
        tasks: usize,
        subject: L,
        step: impl AsyncFn(&L) + 'static,
    ) -> Self {
        let shared = Rc::new((subject, step));
        self.by(whose, move |event_loop, n| {
            let all = async {
                let crowd: Vec<_> = (0..tasks)
                    .map(|_| {
                        let shared = Rc::clone(&shared);
                        spawn(async move {
                            let (subject, step) = &*shared;
                            for _ in 0..n / tasks {
                                step(subject).await;
                            }
                        })
                    })
                    .collect();
                for task in crowd {
                    task.await.expect("no task of a workload fails");
                }
            };
            event_loop.run_until_complete(all).expect("nothing stops it");
        })
    }
}

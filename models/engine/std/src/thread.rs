//! Threads, and what is a thread's own.

use ::std::cell::Cell;
use ::std::marker::PhantomData;
use ::std::sync::Arc;
use ::std::sync::atomic::{AtomicBool, Ordering};
use ::std::{fmt, io, mem};

pub use ::std::thread::*;
pub use shuttle::thread::{AccessError, Thread, ThreadId, current, yield_now};

use shuttle_engine::thread_support::DestroyedLastKey;

/// A value of which each thread has its own. One without a destructor is there for as long as the thread
/// is, also for the destructors of others.
pub struct LocalKey<T: 'static> {
    passing: shuttle::thread::LocalKey<T>,
    lasting: DestroyedLastKey<T>,
}

impl<T: 'static> LocalKey<T> {
    pub const fn new(init: fn() -> T) -> Self {
        LocalKey {
            passing: shuttle::thread::LocalKey { init, _p: PhantomData },
            lasting: DestroyedLastKey::new(init),
        }
    }

    pub fn try_with<R>(
        &'static self,
        f: impl FnOnce(&T) -> R,
    ) -> ::std::result::Result<R, AccessError> {
        if mem::needs_drop::<T>() { self.passing.try_with(f) } else { self.lasting.try_with(f) }
    }
}

impl<T: 'static> LocalKey<Cell<T>> {
    pub fn replace(&'static self, value: T) -> T {
        self.try_with(|cell| cell.replace(value)).expect("the thread's own, and not gone")
    }

    pub fn set(&'static self, value: T) {
        self.replace(value);
    }

    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.try_with(Cell::get).expect("the thread's own, and not gone")
    }
}

#[derive(Default)]
pub struct Builder(shuttle::thread::Builder);

impl Builder {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn name(self, name: String) -> Self {
        Builder(self.0.name(name))
    }

    /// Stacks are the scheduler's.
    pub fn stack_size(self, _: usize) -> Self {
        self
    }

    pub fn spawn<T: Send + 'static>(
        self,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        let finished = Arc::new(AtomicBool::new(false));
        let ending = Arc::clone(&finished);
        let body = move || {
            let value = body();
            ending.store(true, Ordering::Relaxed);
            value
        };
        Ok(JoinHandle { thread: self.0.spawn(body)?, finished })
    }
}

pub fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().spawn(body).expect("threads are not refused here")
}

pub struct JoinHandle<T> {
    thread: shuttle::thread::JoinHandle<T>,
    finished: Arc<AtomicBool>,
}

impl<T> JoinHandle<T> {
    pub fn join(self) -> Result<T> {
        self.thread.join()
    }

    pub fn thread(&self) -> &Thread {
        self.thread.thread()
    }

    pub fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Relaxed)
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

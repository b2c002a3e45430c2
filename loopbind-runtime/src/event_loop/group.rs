//! One loop per core, each with its own copy of the program.

use std::fmt;
use std::sync::Arc;

use super::LoopHandle;
use super::thread::{LoopThread, ThreadBuilder};
use crate::error::LoopError;
use crate::panic::discard;
use crate::sys;

/// Threads with a loop each, one per core: made by [`per_core`].
///
/// ```
/// use loopbind::thread::{LoopGroup, per_core};
///
/// let group: LoopGroup<usize> = per_core(|index| async move { index * 10 })?;
/// let outcomes = group.join();
/// assert_eq!(outcomes[0].as_ref().unwrap(), &0);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub struct LoopGroup<T = ()> {
    threads: Vec<LoopThread<T>>,
    handles: Vec<LoopHandle>,
}

/// Starts a thread for each core that this one may run on, pinned to it, with a loop of its own, and
/// calls `main` there with the thread's place in the group, from zero. With threads and loops of one's own description:
/// [`ThreadBuilder::per_core`].
///
/// # Errors
/// [`LoopError::Io`] where a thread, a loop or a core cannot be had: those that were started are stopped
/// and waited for.
///
/// ```
/// use loopbind::thread::per_core;
///
/// let group = per_core(|index| async move { index })?;
/// let places: Vec<usize> = group.join().into_iter().map(|outcome| outcome.unwrap()).collect();
/// assert_eq!(places, (0..places.len()).collect::<Vec<_>>());
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("LocalExecutorPoolBuilder", "LocalPoolHandle", "new_multi_thread", "thread_per_core"))]
pub fn per_core<F, Fut>(main: F) -> Result<LoopGroup<Fut::Output>, LoopError>
where
    F: Fn(usize) -> Fut + Send + Sync + 'static,
    Fut: Future + 'static,
    Fut::Output: Send + 'static,
{
    ThreadBuilder::new().per_core(main)
}

impl ThreadBuilder {
    /// Starts such a thread for each core that the calling one may run on, pinned to it, and calls `main` there with
    /// the thread's place in the group, from zero. Their names are this builder's, or `core`, with the number of the core
    /// behind; what [`core`](ThreadBuilder::core) said is not asked for.
    ///
    /// # Errors
    /// As [`per_core`].
    ///
    /// ```
    /// use loopbind::{EventLoop, thread::ThreadBuilder};
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::builder().spin(Duration::from_micros(50));
    /// let shards = ThreadBuilder::new().name("shard").event_loop(event_loop);
    /// let group = shards.per_core(|_| async { std::thread::current().name().map(String::from) })?;
    /// for name in group.join() {
    ///     assert!(name.unwrap().unwrap().starts_with("shard-"));
    /// }
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "thread_per_core")]
    pub fn per_core<F, Fut>(self, main: F) -> Result<LoopGroup<Fut::Output>, LoopError>
    where
        F: Fn(usize) -> Fut + Send + Sync + 'static,
        Fut: Future + 'static,
        Fut::Output: Send + 'static,
    {
        let main = Arc::new(main);
        let mut group = LoopGroup { threads: Vec::new(), handles: Vec::new() };
        for (index, core) in sys::cores()?.into_iter().enumerate() {
            let main = Arc::clone(&main);
            let builder = self.clone().on_core(core);
            match builder.spawn(move || main(index)) {
                Ok(thread) => {
                    group.handles.push(thread.handle().clone());
                    group.threads.push(thread);
                }
                Err(error) => {
                    group.stop();
                    group.join().into_iter().for_each(discard);
                    return Err(error);
                }
            }
        }
        Ok(group)
    }
}

impl<T> LoopGroup<T> {
    /// The loops, in order of their places.
    ///
    /// ```
    /// use loopbind::{task, thread::per_core};
    ///
    /// let group = per_core(|_| task::cancelled())?;
    /// let answer = group.handles()[0].spawn(|| async { 42 })?.join().unwrap();
    /// assert_eq!(answer, 42);
    /// group.stop();
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn handles(&self) -> &[LoopHandle] {
        &self.handles
    }

    /// Asks each body to end: see [`LoopThread::stop`].
    ///
    /// ```
    /// use loopbind::{task, thread::per_core};
    ///
    /// let group = per_core(|_| async {
    ///     task::cancelled().await;
    ///     "good bye"
    /// })?;
    /// group.stop();
    /// assert!(group.join().into_iter().all(|outcome| outcome.unwrap() == "good bye"));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn stop(&self) {
        for thread in &self.threads {
            thread.stop();
        }
    }

    /// Waits for all of them, and gives their outcomes in order of their places: see
    /// [`LoopThread::join`].
    ///
    /// ```
    /// use loopbind::thread::per_core;
    ///
    /// let group = per_core(|index| async move { assert_ne!(index, 0, "the first one fails") })?;
    /// let outcomes = group.join();
    /// assert!(outcomes[0].is_err());
    /// assert!(outcomes[1..].iter().all(|outcome| outcome.is_ok()));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn join(self) -> Vec<std::thread::Result<T>> {
        self.threads.into_iter().map(LoopThread::join).collect()
    }
}

impl<T> fmt::Debug for LoopGroup<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopGroup").field("threads", &self.threads).finish()
    }
}

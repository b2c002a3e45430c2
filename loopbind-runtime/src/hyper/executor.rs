//! hyper's executor: tasks of the running loop.

use ::hyper::rt::Executor;

use crate::task::spawn;

/// Runs what hyper wants to run in the background, the streams of an HTTP/2 connection for one, as tasks of the running
/// loop: any future, `Send` or not.
///
/// Nobody has a handle of those tasks: they are detached. What they panic with goes to the loop's exception handler, and
/// they are asked to end with all others when the loop is shut down.
///
/// # Panics
/// `execute` with `no running event loop` outside of a run. hyper calls it where a connection is polled.
///
/// ```
/// use hyper::rt::Executor;
/// use loopbind::{hyper::LoopExecutor, run, yield_now};
/// use std::{cell::Cell, rc::Rc};
///
/// run(async {
///     let done = Rc::new(Cell::new(false));
///     let ours = Rc::clone(&done);
///     LoopExecutor.execute(async move { ours.set(true) });
///     yield_now().await;
///     assert!(done.get());
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("TokioExecutor", "LocalExec"))]
#[derive(Clone, Copy, Debug, Default)]
pub struct LoopExecutor;

impl<F> Executor<F> for LoopExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        spawn(future).detach();
    }
}

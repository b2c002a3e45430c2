//! Several at once, none of them forgotten: task groups, sets of tasks, and scopes whose children
//! borrow.
//!
//! | | children | their failures |
//! |---|---|---|
//! | [`group()`](group()) | tasks of the loop, `'static` | the first ends the group; all are given at its end |
//! | [`JoinSet`] | tasks of the loop, `'static` | values, one by one, as the tasks end |
//! | [`scope()`](scope()) | futures that borrow, polled by the scope's own task | values; a panic goes on from the scope |
//!
//! None of them outlives the future or the value it was started in by more than its own next turn.

mod bells;
mod child;
mod desk;
mod error;
mod gate;
mod join_set;
mod members;
mod refused;
mod scope;
mod scoped;
mod task_group;
mod waiter;

pub use error::{ChildFailed, Details, GroupError};
pub use join_set::JoinSet;
pub use scope::{Scope, scope};
pub use scoped::Scoped;
pub use task_group::{TaskGroup, group};

use crate::panic::caught;
use crate::sync::KeptWaker;
use crate::task::{ExceptionContext, LocalHome, report_to_stderr};

/// A waker is the user's code: what it throws is reported, and whoever wakes goes on.
fn wake(waker: KeptWaker) {
    if let Err(payload) = caught(move || waker.wake()) {
        report(ExceptionContext::panicked("exception in a waker", payload));
    }
}

/// Tells the exception handler of the running loop; with none running, standard error.
fn report(context: ExceptionContext) {
    let mut context = Some(context);
    LocalHome::with_running(|home| context.take().map(|context| home.local().report(context)));
    if let Some(context) = context {
        report_to_stderr(&context);
    }
}

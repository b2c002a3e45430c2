//! A task that outlives its test.
//!
//! `#[loop_test]`'s count of tasks must find it, where it was not detached.

use std::future::pending;

use loopbind::{loop_test, spawn};

#[loop_test(virtual_time)]
async fn nobody_is_left() {
    let task = spawn(pending::<()>());
    task.detach();
}

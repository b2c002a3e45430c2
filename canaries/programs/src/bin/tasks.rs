//! Tasks that come to their end: one that is small, and one whose future and value fill their place.
//!
//! AddressSanitizer must find: a block that is freed twice, and one that is too small for its task.
//! LeakSanitizer must find: a block that is not freed.
//! valgrind must find: a task whose future was never written.

use loopbind::{run, spawn, yield_now};

/// A future that is as large as this, and has written all of itself.
async fn large() -> u64 {
    let mut numbers = [0; 40];
    for (at, number) in numbers.iter_mut().enumerate() {
        *number = at as u64;
        yield_now().await;
    }
    numbers.iter().sum()
}

fn main() {
    let both = run(async { spawn(large()).await.unwrap() + spawn(async { 1 }).await.unwrap() });
    assert_eq!(both.unwrap(), 39 * 40 / 2 + 1);
}

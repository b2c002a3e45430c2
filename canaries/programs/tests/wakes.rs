//! A loop that sleeps until another thread has done something.
//!
//! `#[loop_test]`'s time-out must find: a post that rings no bell, so that the loop sleeps on.

use std::time::Duration;

use loopbind::{loop_test, spawn_blocking};

#[loop_test(timeout = "3s")]
async fn who_sleeps_is_woken() {
    for _ in 0..3 {
        // Slow enough for the loop to lie down.
        spawn_blocking(|| std::thread::sleep(Duration::from_millis(20))).await.unwrap();
    }
}

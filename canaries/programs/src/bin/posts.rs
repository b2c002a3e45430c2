//! Callbacks that two threads post to a loop that runs.
//!
//! ThreadSanitizer must find: a post that does not release what was written before it.

use std::cell::Cell;
use std::thread;

use loopbind::{EventLoop, get_running_loop};

const EACH: u64 = 200;

thread_local! {
    static ARRIVED: Cell<u64> = const { Cell::new(0) };
}

fn main() {
    let event_loop = EventLoop::new().unwrap();
    let posters: Vec<_> = (0..2)
        .map(|_| {
            let handle = event_loop.handle();
            thread::spawn(move || {
                for number in 0..EACH {
                    let written = Box::new(number);
                    let arrives = move || {
                        ARRIVED.set(ARRIVED.get() + 1 + *written - *written);
                        if ARRIVED.get() == 2 * EACH {
                            get_running_loop().unwrap().stop();
                        }
                    };
                    handle.call_soon_threadsafe(arrives).unwrap();
                }
            })
        })
        .collect();
    event_loop.run_forever().unwrap();
    for poster in posters {
        poster.join().unwrap();
    }
    assert_eq!(ARRIVED.get(), 2 * EACH);
}

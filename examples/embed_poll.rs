//! A loop inside a loop of one's own, of the kind that a GUI or a plugin host has: `poll(2)`, and a turn
//! when there is something to see to. No thread of ours.
//!
//! ```sh
//! cargo run --example embed_poll
//! ```

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use loopbind::{EventLoop, LoopError, sleep};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

fn main() -> Result<(), LoopError> {
    let event_loop = EventLoop::new()?;

    // The host's guest: a coroutine with a timer, and a thread that posts to it.
    let ticker = event_loop.create_task(async {
        for tick in 1..=3 {
            sleep(Duration::from_millis(100)).await;
            println!("  tick {tick}");
        }
    });
    let handle = event_loop.handle();
    let other = std::thread::spawn(move || {
        handle.call_soon_threadsafe(|| println!("  hello from another thread"))
    });

    let mut sleeps = 0;
    while !ticker.is_finished() {
        // 1. Sleep until the loop's descriptor is readable, or its next deadline; a real host watches
        //    its windows and descriptors in the same call.
        let timeout = event_loop.next_deadline().map(|at| {
            let left = at.saturating_duration_since(Instant::now());
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
        });
        let mut fds = [PollFd::from_borrowed_fd(event_loop.as_fd(), PollFlags::IN)];
        poll(&mut fds, timeout.as_ref()).map_err(std::io::Error::from)?;
        sleeps += 1;

        // 2. One bounded turn, which does not wait.
        let turn = event_loop.turn(Some(Duration::ZERO))?;
        println!("turn {sleeps}: {} steps", turn.polled);
    }
    other.join().expect("the other thread only posts")?;
    println!("{sleeps} sleeps, no busy polling");
    Ok(())
}

//! A loop inside a calloop event loop, the loop of Wayland programs: calloop watches, and turns ours when there is
//! something to see to. No thread of ours.
//!
//! ```sh
//! cargo run --features calloop --example embed_calloop
//! ```

use std::time::Duration;

use calloop::PostAction;
use calloop::timer::{TimeoutAction, Timer};
use loopbind::calloop::{LoopEvent, LoopSource};
use loopbind::{EventLoop, sleep};

/// What the host's callbacks share.
struct App {
    guest: EventLoop,
    frames: u32,
    turns: u32,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let guest = EventLoop::builder().name("guest").build()?;
    let mut host = calloop::EventLoop::<App>::try_new()?;

    // The guest: after each of its turns calloop has the app for us, and hears when it has stopped.
    let signal = host.get_signal();
    host.handle().insert_source(LoopSource::new(&guest)?, move |event, (), app: &mut App| {
        match event {
            LoopEvent::Turned(_) => app.turns += 1,
            _ => signal.stop(),
        }
        PostAction::Continue
    })?;

    // Something of the host's own, which starts tasks of the guest's.
    let frame = Duration::from_millis(40);
    host.handle().insert_source(Timer::from_duration(frame), move |_, (), app: &mut App| {
        app.frames += 1;
        let number = app.frames;
        app.guest
            .create_task(async move {
                sleep(Duration::from_millis(10)).await;
                println!("  a task of frame {number}");
            })
            .detach();
        TimeoutAction::ToDuration(frame)
    })?;

    // A task of the guest's, and another thread that posts to it.
    let stop = guest.clone();
    guest
        .create_task(async move {
            for tick in 1..=3 {
                sleep(Duration::from_millis(100)).await;
                println!("  tick {tick}");
            }
            stop.stop();
        })
        .detach();
    let handle = guest.handle();
    let other = std::thread::spawn(move || {
        handle.call_soon_threadsafe(|| println!("  hello from another thread"))
    });

    let mut app = App { guest, frames: 0, turns: 0 };
    host.run(None, &mut app, |_| {})?;
    other.join().expect("the other thread only posts")?;
    println!("{} frames, {} turns, no busy polling", app.frames, app.turns);
    Ok(())
}

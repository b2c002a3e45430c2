//! A loop inside glib's main loop, which is GTK's and GStreamer's: glib watches the descriptor, and has a time-out for the
//! deadline. No thread of ours.
//!
//! ```sh
//! apt-get install libglib2.0-dev       # or what your system calls it
//! cd examples/hosts && cargo run --features glib --bin glib
//! ```

use std::cell::RefCell;
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use glib::{ControlFlow, IOCondition, Priority, SourceId};
use hosts::cpu_time;
use loopbind::{EventLoop, LoopError, sleep};

// The recipe.
/// A loop that glib turns for as long as this is there.
struct Guest {
    event_loop: EventLoop,
    watch: RefCell<Option<SourceId>>,
    timer: RefCell<Option<SourceId>>,
}

/// Behind input and GTK's redraws, so that a loop that is always busy leaves the windows alive.
const PRIORITY: Priority = Priority::DEFAULT_IDLE;

/// When a refused turn is tried again.
const PAUSE: Duration = Duration::from_millis(50);

impl Guest {
    fn attach(event_loop: &EventLoop) -> Rc<Guest> {
        let (watch, timer) = (RefCell::new(None), RefCell::new(None));
        let guest = Rc::new(Guest { event_loop: event_loop.clone(), watch, timer });
        // What was started before anybody watched has its first turn.
        guest.turn_after(Duration::ZERO);
        guest
    }

    fn turn(self: &Rc<Self>) {
        match self.event_loop.turn(Some(Duration::ZERO)) {
            Ok(turn) => {
                self.watch();
                match self.event_loop.next_deadline() {
                    _ if turn.more => self.turn_after(Duration::ZERO),
                    Some(at) => self.turn_after(at.saturating_duration_since(Instant::now())),
                    None => remove(&self.timer),
                }
            }
            Err(LoopError::Closed) => {
                remove(&self.watch);
                remove(&self.timer);
            }
            // From inside of a turn: a task runs a dialog, and that glib's loop. The descriptor stays readable for as long
            // as nobody turns, so that it is watched again behind the next turn.
            Err(_) => {
                remove(&self.watch);
                self.turn_after(PAUSE);
            }
        }
    }

    fn watch(self: &Rc<Self>) {
        if self.watch.borrow().is_none() {
            let fd = self.event_loop.as_fd().as_raw_fd();
            let weak = Rc::downgrade(self);
            let turn = move |_, _| {
                if let Some(guest) = weak.upgrade() {
                    guest.turn();
                }
                // Until it is removed, perhaps by this turn.
                ControlFlow::Continue
            };
            let watch = glib::unix_fd_add_local_full(fd, PRIORITY, IOCondition::IN, turn);
            self.watch.replace(Some(watch));
        }
    }

    /// glib counts in milliseconds. Rounded up: a moment too early is a turn for nothing.
    fn turn_after(self: &Rc<Self>, left: Duration) {
        let left = Duration::from_millis(left.as_nanos().div_ceil(1_000_000) as u64);
        let weak = Rc::downgrade(self);
        let turn = move || {
            if let Some(guest) = weak.upgrade() {
                // It is over with this call: glib is not to be asked to remove it.
                guest.timer.take();
                guest.turn();
            }
            ControlFlow::Break
        };
        remove(&self.timer);
        self.timer.replace(Some(glib::timeout_add_local_full(left, PRIORITY, turn)));
    }
}

fn remove(source: &RefCell<Option<SourceId>>) {
    if let Some(source) = source.take() {
        source.remove();
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        remove(&self.watch);
        remove(&self.timer);
    }
}
// To here.

fn main() {
    let main_loop = glib::MainLoop::new(None, false);
    let event_loop = EventLoop::builder().name("guest").build().unwrap();
    let trace = Rc::new(RefCell::new(Vec::new()));
    let guest = Guest::attach(&event_loop);

    // A task of ours, which ends glib's loop.
    let (quit, log) = (main_loop.clone(), Rc::clone(&trace));
    event_loop
        .create_task(async move {
            for _ in 0..3 {
                let due = Instant::now() + Duration::from_millis(100);
                sleep(Duration::from_millis(100)).await;
                assert!(Instant::now() >= due);
                log.borrow_mut().push("tick");
            }
            quit.quit();
        })
        .detach();

    // A callback of glib's that starts a task of ours, and another thread that posts.
    let (same, log) = (event_loop.clone(), Rc::clone(&trace));
    glib::timeout_add_local_once(Duration::from_millis(150), move || {
        log.borrow_mut().push("glib");
        same.create_task(async move { log.borrow_mut().push("started by glib") }).detach();
    });
    let handle = event_loop.handle();
    let other = std::thread::spawn(move || handle.spawn(|| async { 42 }).unwrap().join().unwrap());

    let began = (Instant::now(), cpu_time());
    main_loop.run();
    let (took, cpu) = (began.0.elapsed(), cpu_time() - began.1);

    assert_eq!(*trace.borrow(), ["tick", "glib", "started by glib", "tick", "tick"]);
    assert_eq!(other.join().unwrap(), 42);
    let turns = event_loop.metrics().turns;
    assert!(turns <= 10, "{turns} turns");
    assert!(cpu < took / 10, "{cpu:?} of {took:?}");

    // A dialog: a task that runs glib's loop, while something is there to be read that no turn sees to.
    let (quit, modal) = (main_loop.clone(), event_loop.clone());
    let dialog = event_loop.create_task(async move {
        // In a turn of the timer's: glib does not call what it is calling, and the descriptor is another source.
        sleep(Duration::from_millis(10)).await;
        let (reader, mut writer) = UnixStream::pair().unwrap();
        let seen = modal.add_reader(reader, || {}).unwrap();
        writer.write_all(b"x").unwrap();
        let inner = glib::MainLoop::new(None, false);
        let close = inner.clone();
        glib::timeout_add_local_once(Duration::from_millis(200), move || close.quit());
        inner.run();
        drop(seen);
        sleep(Duration::from_millis(10)).await;
        quit.quit();
    });
    let began = (Instant::now(), cpu_time());
    main_loop.run();
    let (took, cpu) = (began.0.elapsed(), cpu_time() - began.1);
    assert!(cpu < took / 10, "a dialog: {cpu:?} of {took:?}");
    while !dialog.is_finished() {
        glib::MainContext::default().iteration(true);
    }

    // Taken out of glib, it is a loop as any other; and one that is closed inside leaves by itself.
    drop(guest);
    assert_eq!(event_loop.run_until_complete(async { 42 }).unwrap(), 42);
    let guest = Guest::attach(&event_loop);
    event_loop.close().unwrap();
    let context = glib::MainContext::default();
    while context.iteration(false) {}
    assert!(guest.watch.borrow().is_none() && guest.timer.borrow().is_none());
    println!("glib: {turns} turns, {cpu:.1?} of CPU in {took:.0?}");
}

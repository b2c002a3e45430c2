//! A loop as a guest of calloop's, the loop of Wayland programs.

use std::cell::RefCell;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use calloop::generic::Generic;
use calloop::{Interest, Mode, PostAction};
use loopbind::{EventLoop, sleep};

/// What the host's callbacks share.
struct App {
    guest: EventLoop,
    turns: usize,
}

impl App {
    fn turn(&mut self) {
        self.guest.turn(Some(Duration::ZERO)).unwrap();
        self.turns += 1;
    }
}

#[test]
fn calloop_watches_the_descriptor_and_its_deadline() {
    let guest = EventLoop::new().unwrap();
    let trace = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&trace);
    let task = guest.create_task(async move {
        log.borrow_mut().push("started");
        sleep(Duration::from_millis(5)).await;
        log.borrow_mut().push("slept");
    });

    let mut host = calloop::EventLoop::<App>::try_new().unwrap();
    let watched =
        Generic::new(guest.as_fd().try_clone_to_owned().unwrap(), Interest::READ, Mode::Level);
    let turn = |_, _: &mut _, app: &mut App| {
        app.turn();
        Ok(PostAction::Continue)
    };
    host.handle().insert_source(watched, turn).unwrap();
    let mut app = App { guest: guest.clone(), turns: 0 };

    // A post of another thread, while the host sleeps.
    let handle = guest.handle();
    let other = std::thread::spawn(move || handle.spawn(|| async { 7 }).unwrap().join().unwrap());

    while !(task.is_finished() && guest.all_tasks().is_empty() && other.is_finished()) {
        let timeout = match guest.next_deadline() {
            Some(at) => at.saturating_duration_since(Instant::now()),
            // The other thread ends without a word to anybody.
            None => Duration::from_millis(5),
        };
        host.dispatch(Some(timeout), &mut app).unwrap();
        // The deadline may be what ended the sleep.
        app.turn();
    }
    assert_eq!(other.join().unwrap(), 7);
    assert_eq!(*trace.borrow(), ["started", "slept"]);
    assert!(app.turns > 0);
}

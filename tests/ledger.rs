//! Random programs beside a ledger: whatever tasks do to each other, in whatever order, each future
//! and each output is dropped exactly once, on the loop's thread, and nothing is left.
//!
//! The programs are drawn from seeds, so that one that fails fails again; the seed is in the message.

mod support;

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use loopbind::{EventLoop, Task, sleep, task};

/// Counts itself while it lives, and says where it died.
struct Entry {
    books: Rc<Books>,
    home: ThreadId,
    open: Cell<bool>,
}

#[derive(Default)]
struct Books {
    alive: Cell<i64>,
    made: Cell<i64>,
}

impl Books {
    fn entry(self: &Rc<Self>) -> Entry {
        self.alive.set(self.alive.get() + 1);
        self.made.set(self.made.get() + 1);
        Entry { books: Rc::clone(self), home: thread::current().id(), open: Cell::new(true) }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        assert!(self.open.replace(false), "dropped twice");
        assert_eq!(thread::current().id(), self.home, "dropped away from home");
        self.books.alive.set(self.books.alive.get() - 1);
    }
}

/// What all tasks of a program can reach.
struct World {
    event_loop: EventLoop,
    books: Rc<Books>,
    random: Cell<u64>,
    handles: RefCell<Vec<Task<Entry>>>,
    wakers: RefCell<Vec<Waker>>,
    spawned: Cell<u32>,
}

impl World {
    fn draw(&self, below: u64) -> u64 {
        let mut state = self.random.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.random.set(state);
        state % below
    }

    /// A handle out of the common pile, if there is one: nothing is borrowed while it is used.
    fn take_handle(&self) -> Option<Task<Entry>> {
        let mut handles = self.handles.borrow_mut();
        let below = handles.len() as u64;
        (below > 0).then(|| handles.swap_remove(self.draw(below) as usize))
    }

    fn give_handle(&self, handle: Task<Entry>) {
        self.handles.borrow_mut().push(handle);
    }

    fn take_waker(&self) -> Option<Waker> {
        let mut wakers = self.wakers.borrow_mut();
        let below = wakers.len() as u64;
        (below > 0).then(|| wakers.swap_remove(self.draw(below) as usize))
    }
}

/// One thing that can be done from anywhere: a poll, a callback, a destructor, outside of runs.
fn act(world: &Rc<World>) {
    match world.draw(12) {
        0 | 1 if world.spawned.get() < 60 && !world.event_loop.is_closed() => {
            world.spawned.set(world.spawned.get() + 1);
            let script =
                Script { world: Rc::clone(world), entry: world.books.entry(), inner: Inner::None };
            let handle = world.event_loop.create_task(script);
            world.give_handle(handle);
        }
        2 => {
            if let Some(handle) = world.take_handle() {
                match world.draw(3) {
                    0 => handle.cancel(),
                    more => handle.cancel_within(Duration::from_millis(more - 1)),
                };
                world.give_handle(handle);
            }
        }
        3 => {
            if let Some(handle) = world.take_handle() {
                handle.abort();
                world.give_handle(handle);
            }
        }
        4 => drop(world.take_handle()),
        5 => {
            if let Some(handle) = world.take_handle() {
                handle.detach();
            }
        }
        6 => {
            if let Some(mut handle) = world.take_handle() {
                drop(handle.try_result());
                world.give_handle(handle);
            }
        }
        7 => {
            if let Some(waker) = world.take_waker() {
                waker.wake();
            }
        }
        8 => {
            if let Some(waker) = world.take_waker() {
                thread::spawn(move || {
                    waker.wake_by_ref();
                    waker.wake();
                })
                .join()
                .unwrap();
            }
        }
        9 if !world.event_loop.is_closed() => {
            if let Some(handle) = world.take_handle() {
                let (later, entry) = (Rc::clone(world), world.books.entry());
                handle.add_done_callback(move || {
                    let _entry = entry;
                    act(&later);
                });
                world.give_handle(handle);
            }
        }
        10 if !world.event_loop.is_closed() => {
            let (later, entry) = (Rc::clone(world), world.books.entry());
            let handle = world.event_loop.call_soon(move || {
                let _entry = entry;
                act(&later);
            });
            if world.draw(3) == 0 {
                handle.cancel();
            }
        }
        _ => {
            let _ = (world.event_loop.all_tasks(), world.event_loop.metrics(), task::current());
        }
    }
}

enum Inner {
    None,
    Awaits(Task<Entry>),
    Listens(Pin<Box<dyn Future<Output = ()>>>),
    Sleeps(Pin<Box<loopbind::time::Sleep>>),
}

/// A future that does something else at every poll.
struct Script {
    world: Rc<World>,
    entry: Entry,
    inner: Inner,
}

impl Future for Script {
    type Output = Entry;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Entry> {
        let world = Rc::clone(&self.world);
        match &mut self.inner {
            Inner::Awaits(handle) => {
                if let Poll::Ready(outcome) = Pin::new(handle).poll(cx) {
                    drop(outcome);
                    self.inner = Inner::None;
                }
            }
            Inner::Listens(listener) => {
                if listener.as_mut().poll(cx).is_ready() {
                    self.inner = Inner::None;
                }
            }
            Inner::Sleeps(sleep) => {
                if sleep.as_mut().poll(cx).is_ready() {
                    self.inner = Inner::None;
                }
            }
            Inner::None => {}
        }
        act(&world);
        match world.draw(12) {
            0 | 1 => return Poll::Ready(world.books.entry()),
            // Thrown without the hook, which would fill the test's output.
            2 => std::panic::resume_unwind(Box::new(Thrown)),
            3 | 4 => cx.waker().wake_by_ref(),
            5 | 6 => world.wakers.borrow_mut().push(cx.waker().clone()),
            7 => {
                if let Some(mut handle) = world.take_handle() {
                    if !handle.is_finished() && Pin::new(&mut handle).poll(cx).is_pending() {
                        self.inner = Inner::Awaits(handle);
                    }
                }
            }
            8 => {
                let mut listener: Pin<Box<dyn Future<Output = ()>>> = Box::pin(task::cancelled());
                if listener.as_mut().poll(cx).is_pending() {
                    self.inner = Inner::Listens(listener);
                }
            }
            9 => {
                let mut nap = Box::pin(sleep(Duration::from_millis(world.draw(3))));
                if nap.as_mut().poll(cx).is_pending() {
                    self.inner = Inner::Sleeps(nap);
                }
            }
            _ => act(&world),
        }
        Poll::Pending
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = &self.entry;
        // A destructor is the user's code like any other. On a closed loop starting anything would
        // be refused by a panic; while it closes it is taken.
        let world = Rc::clone(&self.world);
        if world.draw(3) == 0 {
            act(&world);
        }
        if world.draw(20) == 0 && !thread::panicking() {
            std::panic::resume_unwind(Box::new(Thrown));
        }
    }
}

/// What the programs throw.
struct Thrown;

fn play(seed: u64) {
    let mut builder = EventLoop::builder().virtual_time(true).event_interval(1 + seed as usize % 5);
    if seed % 3 == 0 {
        builder = builder.shuffle(seed);
    }
    let event_loop = builder.build().unwrap();
    event_loop.set_exception_handler(Some(Box::new(|_, context| {
        assert!(context.panic.is_some(), "{}", context.message);
    })));
    let books = Rc::new(Books::default());
    let world = Rc::new(World {
        event_loop: event_loop.clone(),
        books: Rc::clone(&books),
        random: Cell::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
        handles: RefCell::default(),
        wakers: RefCell::default(),
        spawned: Cell::new(0),
    });
    for _ in 0..60 {
        act(&world);
        if world.draw(3) == 0 {
            let wait = if world.draw(2) == 0 { Duration::ZERO } else { Duration::from_millis(1) };
            event_loop.turn(Some(wait)).unwrap();
        }
    }
    match world.draw(3) {
        0 => {}
        1 => world.handles.take().into_iter().for_each(drop),
        _ => {
            let main = world.take_handle();
            let same = Rc::clone(&world);
            let stop = event_loop.clone();
            event_loop.call_later(Duration::from_millis(3), move || {
                act(&same);
                stop.stop();
            });
            match main {
                Some(mut main) if !main.is_finished() => {
                    drop(event_loop.run_until_complete(&mut main));
                }
                _ => event_loop.run_forever().unwrap(),
            }
        }
    }
    event_loop.close().unwrap();
    assert!(event_loop.all_tasks().is_empty(), "tasks outlive close");
    assert_eq!(event_loop.metrics().tasks_alive, 0);
    let outcomes: Vec<_> = world.handles.take();
    for mut handle in outcomes {
        assert!(handle.is_finished(), "a task outlives close");
        drop(handle.try_result());
    }
    for waker in world.wakers.take() {
        waker.wake();
    }
    assert_eq!(books.alive.get(), 0, "of {} made", books.made.get());
    drop(event_loop);
    assert_eq!(Rc::strong_count(&world), 1, "somebody still holds the world");
}

/// Invariants 3, 5 and 7 of the design: settled once, whole after a panic, nothing left by close.
#[test]
fn random_programs_drop_everything_once_at_home_and_leave_nothing() {
    for seed in support::programs(0..3_000) {
        let outcome = std::panic::catch_unwind(|| play(seed));
        if let Err(payload) = outcome {
            let text = support::text_of(&*payload);
            panic!("seed {seed}: {text}");
        }
    }
}

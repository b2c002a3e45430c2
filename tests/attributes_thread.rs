//! `#[loop_thread]`: a loop on the thread that calls, and with `spawn` on a thread of its own.
#![cfg(feature = "macros")]

use loopbind::thread::LoopThread;
use loopbind::{
    EventLoop, LoopError, LoopId, get_bound_loop, get_event_loop, get_running_loop, loop_thread,
    main_loop, task, yield_now,
};
use std::cell::Cell;
use std::future::pending;
use std::panic;
use std::rc::Rc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, ThreadId};

/// What a panic was called with.
fn words(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("a text")).to_owned(),
    }
}

fn thread_name() -> Option<String> {
    thread::current().name().map(str::to_owned)
}

#[loop_thread(name = "worker")]
async fn worker() -> (LoopId, Option<String>) {
    let event_loop = get_event_loop().expect("a loop runs here");
    yield_now().await;
    assert_eq!(get_running_loop().expect("it is running"), event_loop);
    assert_eq!(get_bound_loop().expect("it is bound"), event_loop);
    (event_loop.id(), event_loop.name().map(str::to_owned))
}

#[test]
fn the_thread_that_calls_gets_the_loop() {
    let here = EventLoop::new().expect("a loop");
    let bound = here.bind();
    let (id, name) = thread::spawn(|| {
        let seen = worker();
        assert!(get_bound_loop().is_none(), "nothing stays bound");
        assert!(get_event_loop().is_err());
        seen
    })
    .join()
    .expect("no panic");
    assert_ne!(id, here.id());
    assert_eq!(name.as_deref(), Some("worker"));
    assert_eq!(get_bound_loop().expect("the one of this thread"), here);
    drop(bound);
}

#[test]
fn the_function_itself_can_be_given_to_a_thread() {
    let first = thread::spawn(worker);
    let second = thread::spawn(worker);
    assert_ne!(
        first.join().expect("no panic").0,
        second.join().expect("no panic").0,
        "each call has a loop of its own"
    );
}

#[test]
fn the_thread_keeps_its_name_without_spawn() {
    #[loop_thread(name = "of the loop")]
    async fn named() -> Option<String> {
        thread_name()
    }
    let thread = thread::Builder::new().name("of the thread".to_owned()).spawn(named);
    let seen = thread.expect("a thread").join().expect("no panic");
    assert_eq!(seen.as_deref(), Some("of the thread"));
}

struct Counter {
    count: u32,
}

impl Counter {
    #[loop_thread]
    async fn add(&mut self, more: u32) -> &mut u32 {
        get_running_loop().expect("a loop runs here");
        yield_now().await;
        self.count += more;
        &mut self.count
    }

    #[loop_thread]
    async fn parsed(self: Rc<Self>, text: &str) -> Result<u32, Box<dyn std::error::Error>> {
        yield_now().await;
        if text.is_empty() {
            return Err("nothing".into());
        }
        Ok(self.count + text.parse::<u32>()?)
    }

    #[loop_thread]
    fn bound(&self) -> bool {
        get_bound_loop().is_some() && get_running_loop().is_err()
    }

    #[loop_thread(spawn)]
    async fn elsewhere(self, home: ThreadId) -> Self {
        assert_ne!(thread::current().id(), home);
        assert_eq!(thread_name().as_deref(), Some("elsewhere"));
        yield_now().await;
        Self { count: self.count + 1 }
    }
}

#[test]
fn methods_have_their_receiver() {
    let mut counter = Counter { count: 1 };
    *counter.add(2) += 4;
    assert_eq!(counter.count, 7);
    assert!(counter.bound());
    let counter = counter.elsewhere(thread::current().id()).join().expect("no panic");
    assert_eq!(counter.count, 8);
    let counter = Rc::new(counter);
    assert_eq!(Rc::clone(&counter).parsed("1").expect("a number"), 9);
    assert_eq!(Rc::clone(&counter).parsed("").expect_err("early").to_string(), "nothing");
    assert!(counter.parsed("x").is_err());
}

/// Says on its way out whether a loop was running.
struct Last<'a>(&'a Cell<Option<bool>>, u32);

impl Drop for Last<'_> {
    fn drop(&mut self) {
        self.0.set(Some(get_running_loop().is_ok()));
    }
}

impl Last<'_> {
    #[loop_thread]
    async fn unnamed(self) {
        yield_now().await;
    }

    #[loop_thread]
    async fn in_part(self) -> u32 {
        yield_now().await;
        self.1
    }

    #[loop_thread]
    async fn beside(self: Rc<Self>, _: Self, _unused: Self) {
        yield_now().await;
    }
}

#[test]
fn what_the_body_does_not_name_is_dropped_in_the_run_too() {
    let seen = [const { Cell::new(None) }; 3];
    Last(&seen[0], 1).unnamed();
    assert_eq!(seen[0].take(), Some(true));
    assert_eq!(Last(&seen[0], 1).in_part(), 1);
    assert_eq!(seen[0].take(), Some(true));
    Rc::new(Last(&seen[0], 1)).beside(Last(&seen[1], 1), Last(&seen[2], 1));
    assert_eq!(seen.map(|seen| seen.take()), [Some(true); 3]);
}

#[test]
fn inside_a_running_loop_it_is_refused() {
    let outer = EventLoop::new().expect("a loop");
    let told = outer
        .run_until_complete(async {
            let told = panic::catch_unwind(worker).expect_err("it is refused");
            assert_eq!(get_running_loop().expect("the outer loop"), outer);
            words(told)
        })
        .expect("it was not stopped");
    assert_eq!(told, "Cannot run the event loop while another loop is running");
}

#[test]
fn its_loop_is_not_the_main_loop() {
    #[loop_thread]
    async fn seen() -> bool {
        let own = get_running_loop().expect("a loop runs here").id();
        main_loop().is_some_and(|main| main.id() == own)
    }
    assert!(!seen());
}

#[loop_thread(spawn)]
async fn count_words(text: String, _unused: Vec<u8>) -> usize {
    yield_now().await;
    text.split_whitespace().count()
}

#[test]
fn spawn_gives_the_output_back() {
    let text = String::from("one two three");
    assert_eq!(count_words(text, vec![1]).join().expect("no panic"), 3);
}

#[test]
fn spawn_names_the_thread_after_the_function() {
    #[loop_thread(spawn)]
    async fn r#async() -> (Option<String>, Option<String>) {
        let event_loop = get_running_loop().expect("a loop runs here");
        (thread_name(), event_loop.name().map(str::to_owned))
    }
    let thread = r#async();
    assert_eq!(thread.thread().name(), Some("async"));
    let (of_thread, of_loop) = thread.join().expect("no panic");
    assert_eq!(of_thread.as_deref(), Some("async"));
    assert_eq!(of_loop.as_deref(), Some("async"));
}

#[test]
fn spawn_takes_another_name() {
    #[loop_thread(name = concat!("i", "o"), spawn)]
    fn named() -> Option<String> {
        thread_name()
    }
    assert_eq!(named().join().expect("no panic").as_deref(), Some("io"));
}

#[loop_thread(spawn)]
async fn until_told(done: Sender<LoopId>) -> &'static str {
    let id = get_bound_loop().expect("bound before the body").id();
    done.send(id).expect("the test waits");
    task::cancelled().await;
    "told"
}

#[test]
fn spawn_returns_once_the_loop_is_bound() {
    let (done, told) = channel();
    let thread: LoopThread<&str> = until_told(done);
    // At once, without waiting for anything.
    let bound = thread.handle().spawn(|| async { get_bound_loop().map(|bound| bound.id()) });
    let bound = bound.expect("the loop is there").join().expect("no panic");
    assert_eq!(bound, Some(thread.handle().id()));
    assert_eq!(told.recv().expect("the body runs"), thread.handle().id());
    thread.stop();
    assert_eq!(thread.join().expect("it listens"), "told");
}

#[test]
fn stop_ends_a_body_that_does_not_listen() {
    #[loop_thread(spawn)]
    async fn deaf() {
        pending().await
    }
    let thread = deaf();
    thread.stop();
    let payload = thread.join().expect_err("it was stopped");
    let error = payload.downcast::<LoopError>().expect("it says so");
    assert!(matches!(*error, LoopError::StoppedBeforeComplete));
}

#[test]
fn a_panic_comes_back_through_join() {
    #[loop_thread(spawn)]
    async fn panics(number: u32) -> u32 {
        yield_now().await;
        panic!("number {number}")
    }
    #[loop_thread(spawn)]
    fn panics_without_await(number: u32) -> u32 {
        panic!("number {number}")
    }
    assert_eq!(words(panics(1).join().expect_err("it panics")), "number 1");
    assert_eq!(words(panics_without_await(2).join().expect_err("it panics")), "number 2");
}

#[test]
fn a_plain_function_on_a_thread_of_its_own_is_inside_the_binding() {
    #[loop_thread(spawn)]
    fn plain(number: u32) -> Result<u32, LoopError> {
        assert!(get_running_loop().is_err());
        get_event_loop()?.run_until_complete(async move { number + 1 })
    }
    assert_eq!(plain(1).join().expect("no panic").expect("the loop ran"), 2);
}

#[test]
fn spawn_works_inside_a_running_loop() {
    let outer = EventLoop::new().expect("a loop");
    let count = outer.run_until_complete(async {
        let thread = count_words(String::from("a b"), Vec::new());
        thread.join().expect("no panic")
    });
    assert_eq!(count.expect("it was not stopped"), 2);
}

struct DroppedOn(Sender<ThreadId>);

impl Drop for DroppedOn {
    fn drop(&mut self) {
        let _ = self.0.send(thread::current().id());
    }
}

#[test]
fn arguments_are_dropped_on_the_thread_they_went_to() {
    #[loop_thread(spawn)]
    async fn takes(_: DroppedOn, _unused: DroppedOn) -> ThreadId {
        yield_now().await;
        thread::current().id()
    }
    let (sender, dropped) = channel();
    let there = takes(DroppedOn(sender.clone()), DroppedOn(sender)).join().expect("no panic");
    assert_eq!(dropped.iter().collect::<Vec<_>>(), [there, there]);
}

#[test]
fn the_stack_has_the_size_that_was_asked_for() {
    #[loop_thread(spawn, stack_size = 32 << 20)]
    fn deep() -> u8 {
        // More than a thread has by default: without the option this overflows.
        let large = [1_u8; 8 << 20];
        std::hint::black_box(&large)[large.len() - 1]
    }
    assert_eq!(deep().join().expect("no panic"), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn the_thread_stays_on_the_core_that_was_asked_for() {
    fn cores() -> String {
        let status = std::fs::read_to_string("/proc/thread-self/status").expect("procfs");
        let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        line.expect("the kernel says so").trim().to_owned()
    }
    // One that this process may use: the first of `0-3,5`.
    let allowed = cores();
    let first = allowed.split(['-', ',']).next().expect("at least one");
    let first: usize = first.parse().expect("a number");
    // The option's expression is evaluated where the function is called, and sees what an item sees.
    static CORE: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    CORE.store(first, std::sync::atomic::Ordering::Relaxed);

    #[loop_thread(spawn, core = CORE.load(std::sync::atomic::Ordering::Relaxed))]
    async fn pinned() -> String {
        cores()
    }
    assert_eq!(pinned().join().expect("no panic"), first.to_string());
}

#[cfg(target_os = "linux")]
#[test]
fn a_thread_that_cannot_start_is_a_panic_where_it_was_called() {
    #[loop_thread(spawn, core = 1_000_000)]
    async fn nowhere() {}
    let told = panic::catch_unwind(nowhere).map(|_| ()).expect_err("there is no such core");
    assert!(!words(told).is_empty(), "it says why");
}

#[test]
fn generic_functions_run_too() {
    #[loop_thread]
    async fn doubled<T: Clone, const N: usize>(values: [T; N]) -> Vec<T> {
        yield_now().await;
        values.iter().chain(&values).cloned().collect()
    }
    #[loop_thread(spawn)]
    async fn length<T: Send + 'static>(values: Vec<T>) -> usize {
        yield_now().await;
        values.len()
    }
    assert_eq!(doubled([1, 2]), [1, 2, 1, 2]);
    assert_eq!(length(vec!["a"]).join().expect("no panic"), 1);
}

//! What several test files share: a record of an order of events, values that say when they are
//! dropped, and cases that need a process of their own.

#![allow(dead_code)] // Each file uses its share of this.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode, Output};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use loopbind::EventLoop;

/// What happened, in order, on whatever thread. Clones write to the same record.
#[derive(Clone, Default)]
pub(crate) struct Trace {
    events: Arc<Mutex<Vec<String>>>,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn events(&self) -> MutexGuard<'_, Vec<String>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, event: impl Into<String>) {
        let event = event.into();
        self.events().push(event);
    }

    /// A callback that notes `event`.
    pub(crate) fn noting(&self, event: &'static str) -> impl FnOnce() + use<> {
        let trace = self.clone();
        move || trace.note(event)
    }

    /// A value that notes `"<name> dropped"` when it is.
    pub(crate) fn probe(&self, name: impl Into<String>) -> Probe {
        Probe { trace: self.clone(), name: name.into(), home: std::thread::current().id() }
    }

    /// The events so far; the record is empty afterwards.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.events())
    }

    /// Exactly these events happened since the last look, in this order.
    #[track_caller]
    pub(crate) fn assert(&self, expected: &[&str]) {
        assert_eq!(self.take(), expected);
    }
}

/// Notes its own drop; and that it happened elsewhere, where it did.
pub(crate) struct Probe {
    trace: Trace,
    name: String,
    home: ThreadId,
}

impl Drop for Probe {
    fn drop(&mut self) {
        assert_eq!(std::thread::current().id(), self.home, "{} is dropped elsewhere", self.name);
        self.trace.note(format!("{} dropped", self.name));
    }
}

/// Calls its closure when dropped.
pub(crate) struct OnDrop<F: FnOnce()>(Option<F>);

pub(crate) fn on_drop<F: FnOnce()>(call: F) -> OnDrop<F> {
    OnDrop(Some(call))
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call();
        }
    }
}

/// The text of the panic that `body` ends with.
#[track_caller]
pub(crate) fn panic_of<R>(body: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(_) => panic!("it did not panic"),
        Err(payload) => text_of(&*payload),
    }
}

/// The text a panic was given.
pub(crate) fn text_of(payload: &(dyn Any + Send)) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "(not text)".to_owned(),
    }
}

/// Panics with its text when dropped, unless the thread is panicking already.
pub(crate) struct Bomb(pub(crate) &'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("{}", self.0);
        }
    }
}

/// One turn that does not wait; gives how many entries ran.
#[track_caller]
pub(crate) fn turn(event_loop: &EventLoop) -> usize {
    event_loop.turn(Some(Duration::ZERO)).unwrap().polled
}

/// A loop whose clock stands still until nothing else can happen.
pub(crate) fn virtual_loop() -> EventLoop {
    EventLoop::builder().virtual_time(true).build().unwrap()
}

/// Notes what goes to the exception handler: `"<message>: <the panic's text>"`.
pub(crate) fn note_reports(event_loop: &EventLoop, trace: &Trace) {
    let trace = trace.clone();
    event_loop.set_exception_handler(Some(Box::new(move |_, context| {
        let panic = context.panic.as_ref();
        let panic = panic.map(|payload| format!(": {}", payload.message().unwrap_or("(not text)")));
        trace.note(format!("{}{}", context.message, panic.unwrap_or_default()));
    })));
}

/// The seeds of random programs: those of the test, or those that `LOOPBIND_PROGRAMS` names.
pub(crate) fn programs(usual: Range<u64>) -> Range<u64> {
    let Ok(wanted) = std::env::var("LOOPBIND_PROGRAMS") else { return usual };
    let bounds = wanted
        .split_once("..")
        .and_then(|(from, to)| Some(from.trim().parse().ok()?..to.trim().parse().ok()?));
    bounds.unwrap_or_else(|| panic!("LOOPBIND_PROGRAMS={wanted}: two numbers, as in 0..100000"))
}

const CASE: &str = "LOOPBIND_TEST_CASE";

/// Runs `body` in a process of its own, in which nothing else runs, and gives what came of it.
/// `test` is the name of the test that calls this: it is run again there, and comes here again.
pub(crate) fn in_child(test: &str, body: impl FnOnce()) -> Option<Output> {
    in_child_with(test, None, body)
}

/// As `in_child`, for a test that has several: `part` tells which this is.
pub(crate) fn in_child_with(test: &str, part: Option<&str>, body: impl FnOnce()) -> Option<Output> {
    let case = format!("{test}:{}", part.unwrap_or_default());
    match std::env::var(CASE) {
        Ok(wanted) if wanted == case => {
            limit_lifetime();
            body();
            None
        }
        Ok(_) if part.is_some() => None,
        _ => {
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args([test, "--exact", "--nocapture"]).env(CASE, case);
            Some(child.output().unwrap())
        }
    }
}

/// As `in_child`, with these variables in the child's environment, and loopbind's own not inherited.
pub(crate) fn in_child_under(
    test: &str,
    environment: &[(&str, &str)],
    body: impl FnOnce(),
) -> Option<Output> {
    let case = format!("{test}:");
    if std::env::var(CASE).is_ok_and(|wanted| wanted == case) {
        limit_lifetime();
        body();
        return None;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([test, "--exact", "--nocapture"]).env_remove("LOOPBIND_DEBUG");
    child.envs(environment.iter().copied()).env(CASE, case);
    Some(child.output().unwrap())
}

/// As `in_child`, where the body is to end well.
#[track_caller]
pub(crate) fn in_good_child(test: &str, body: impl FnOnce()) {
    if let Some(output) = in_child(test, body) {
        assert!(output.status.success(), "{}", said(&output));
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(out.contains("1 passed"), "{test}: is this the test's name?\n{out}");
    }
}

/// A case of a test file without libtest's harness: its name, and what it does.
pub(crate) type Case = (&'static str, fn());

/// The cases of these names, which are functions.
#[allow(unused_macros)]
macro_rules! cases {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), $name as fn())),*] };
}
#[allow(unused_imports)]
pub(crate) use cases;

/// What `main` of such a file does: runs each case as the main thread of a process of its own, which
/// has done nothing before, and says what came of it.
pub(crate) fn run_cases(cases: &[Case]) -> ExitCode {
    if let Ok(name) = std::env::var(CASE) {
        limit_lifetime();
        let (_, case) = cases.iter().find(|(known, _)| *known == name).unwrap();
        case();
        return ExitCode::SUCCESS;
    }
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let (mut passed, mut failed) = (0, 0);
    for (name, _) in cases {
        if wanted.as_ref().is_some_and(|wanted| !name.contains(wanted)) {
            continue;
        }
        let child =
            Command::new(std::env::current_exe().unwrap()).env(CASE, name).output().unwrap();
        if child.status.success() {
            passed += 1;
            println!("test {name} ... ok");
        } else {
            failed += 1;
            println!("test {name} ... FAILED\n{}", said(&child));
        }
    }
    let outcome = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {outcome}. {passed} passed; {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How a child ended and what it said, for messages.
pub(crate) fn said(output: &Output) -> String {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\n--- stdout\n{out}\n--- stderr\n{err}", output.status)
}

/// Takes every descriptor this process may have but `left`, until the value drops.
#[cfg(target_os = "linux")]
pub(crate) fn take_descriptors_but(left: usize) -> Vec<std::fs::File> {
    use std::ffi::c_int;
    #[repr(C)]
    struct Limit {
        now: u64,
        most: u64,
    }
    unsafe extern "C" {
        fn getrlimit(resource: c_int, limit: *mut Limit) -> c_int;
        fn setrlimit(resource: c_int, limit: *const Limit) -> c_int;
    }
    const DESCRIPTORS: c_int = 7;
    let mut limit = Limit { now: 0, most: 0 };
    // SAFETY: the system's signatures and layout on 64-bit Linux.
    unsafe {
        assert_eq!(getrlimit(DESCRIPTORS, &mut limit), 0);
        limit.now = limit.now.min(200);
        assert_eq!(setrlimit(DESCRIPTORS, &limit), 0);
    }
    let mut taken: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    assert!(taken.len() > left);
    taken.truncate(taken.len() - left);
    taken
}

/// From here on the system says `errno` to these calls, on this thread and on those that it starts.
#[cfg(target_os = "linux")]
pub(crate) fn refuse(calls: &[libc::c_long], errno: i32) {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let answer = |k| step(libc::BPF_RET | libc::BPF_K, 0, 0, k);
    // The number of the call stands at the beginning of what the filter sees.
    let mut filter = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for (at, &number) in calls.iter().enumerate() {
        let to_refusal = (calls.len() - at) as u8;
        let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        filter.push(step(equal, to_refusal, 0, number as u32));
    }
    filter.push(answer(libc::SECCOMP_RET_ALLOW));
    filter.push(answer(libc::SECCOMP_RET_ERRNO | errno as u32));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the system's signatures; `program` is whole, and copied by the call.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program), 0);
    }
}

/// How many descriptors this process has open.
#[cfg(target_os = "linux")]
pub(crate) fn open_descriptors() -> usize {
    // One of them is the one that looks.
    std::fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// A process that hangs is ended by the system, and its parent sees the signal.
pub(crate) fn limit_lifetime() {
    #[cfg(unix)]
    {
        unsafe extern "C" {
            fn alarm(seconds: std::ffi::c_uint) -> std::ffi::c_uint;
        }
        // SAFETY: no preconditions; without a handler the signal ends the process.
        unsafe { alarm(60) };
    }
}

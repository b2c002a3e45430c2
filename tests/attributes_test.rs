//! `#[loop_test]`: a test with a loop, in which nothing goes unnoticed.
//!
//! The tests that are to fail are `#[ignore]`d, and called by others, which look at what they say.
#![cfg(feature = "macros")]

use loopbind::time::now;
use loopbind::{
    EventLoop, UnhandledPanic, get_bound_loop, get_event_loop, get_running_loop, loop_test, sleep,
    spawn, task, yield_now,
};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::pending;
use std::process::{Command, ExitCode};
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, panic, thread};

/// The text of the panic that `body` ends with.
#[track_caller]
fn panic_of<T>(body: fn() -> T) -> String {
    let Err(payload) = panic::catch_unwind(body) else {
        panic!("there was no panic");
    };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("a text")).to_owned(),
    }
}

/// What an ignored test writes when it runs, and whether it passes.
fn output_of(test: &str) -> (String, bool) {
    output_under(&[], test)
}

/// The same, with these variables in the environment.
fn output_under(environment: &[(&str, &str)], test: &str) -> (String, bool) {
    let output = Command::new(env::current_exe().expect("a test knows its own file"))
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .env("RUST_BACKTRACE", "0")
        .env_remove("LOOPBIND_SEED")
        .env_remove("LOOPBIND_SEEDS")
        .envs(environment.iter().copied())
        .output()
        .expect("the test can start itself");
    let written = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&written).into_owned(), output.status.success())
}

#[loop_test]
async fn a_loop_runs_and_is_bound() {
    let running = get_running_loop().expect("a loop runs here");
    assert_eq!(get_event_loop().expect("the same"), running);
    assert_eq!(get_bound_loop().expect("the same"), running);
    yield_now().await;
}

#[loop_test(name = "of the test", debug)]
fn a_plain_function_has_it_bound() {
    assert!(get_running_loop().is_err());
    let event_loop = get_event_loop().expect("a loop is bound here");
    assert_eq!(event_loop.name(), Some("of the test"));
    assert!(event_loop.get_debug());
    assert_eq!(event_loop.run_until_complete(async { 5 }).expect("it runs"), 5);
}

#[loop_test]
#[should_panic = "on purpose"]
async fn should_panic_below() {
    yield_now().await;
    panic!("on purpose");
}

#[should_panic = "on purpose"]
#[loop_test]
async fn should_panic_above() {
    yield_now().await;
    panic!("on purpose");
}

#[loop_test]
async fn an_ok_passes() -> Result<(), String> {
    yield_now().await;
    Ok(())
}

#[loop_test]
#[ignore = "it fails: called by another test"]
async fn fails_with_an_error() -> Result<(), String> {
    yield_now().await;
    Err("no luck".to_owned())
}

#[test]
fn an_err_comes_back_and_fails() {
    assert_eq!(fails_with_an_error(), Err("no luck".to_owned()));
    let (written, passed) = output_of("fails_with_an_error");
    assert!(!passed && written.contains("no luck"), "{written}");
}

#[loop_test]
async fn any_output_that_a_test_may_have() -> std::process::ExitCode {
    yield_now().await;
    std::process::ExitCode::SUCCESS
}

// ─── time ───────────────────────────────────────────────────────────────────────────────────────

#[loop_test(virtual_time)]
async fn virtual_time_goes_where_the_sleepers_wait() {
    let (real, began) = (Instant::now(), now());
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(now() - began, Duration::from_secs(3600), "to the nanosecond");
    assert!(real.elapsed() < Duration::from_secs(600), "and nobody waited for it");
}

#[loop_test]
async fn without_it_time_is_real() {
    let began = Instant::now();
    sleep(Duration::from_millis(5)).await;
    assert!(began.elapsed() >= Duration::from_millis(5));
}

#[loop_test(timeout = "20ms")]
#[ignore = "it fails: called by another test"]
async fn waits_for_ever() {
    let named = get_event_loop().expect("a loop").task_builder().name("the one that hangs");
    let _hangs = named.spawn(pending::<()>());
    pending::<()>().await;
}

#[loop_test(timeout = Duration::from_millis(20))]
#[ignore = "it fails: called by another test"]
async fn is_busy_for_ever() {
    loop {
        yield_now().await;
    }
}

#[loop_test(timeout = "20ms", virtual_time)]
#[ignore = "it fails: called by another test"]
async fn waits_in_virtual_time() {
    // For something that no clock brings, and another thread might.
    let _handle = get_event_loop().expect("a loop").handle();
    pending::<()>().await;
}

#[loop_test(timeout = "5m", virtual_time)]
#[ignore = "it fails: called by another test"]
async fn waits_in_vain() {
    let named = get_event_loop().expect("a loop").task_builder().name("the one that is stuck");
    named.spawn(pending::<()>()).await.expect("no end");
}

const STUCK_AT: u32 = line!() - 3;

#[loop_test(timeout = "5m", virtual_time)]
async fn the_limit_is_in_real_time() {
    sleep(Duration::from_secs(24 * 3600)).await;
}

#[test]
fn a_test_that_takes_too_long_fails_and_says_what_was_unfinished() {
    let told = panic_of(waits_for_ever);
    assert!(told.contains("waits_for_ever timed out after 20ms"), "{told}");
    assert!(told.contains("the one that hangs"), "{told}");
    assert!(told.contains("attributes_test.rs"), "{told}");
    let told = panic_of(is_busy_for_ever);
    assert!(told.contains("is_busy_for_ever timed out after 20ms"), "{told}");
    let told = panic_of(waits_in_virtual_time);
    assert!(told.contains("waits_in_virtual_time timed out after 20ms"), "{told}");
}

#[test]
fn in_virtual_time_a_test_that_nothing_can_wake_fails_at_once_and_says_who_waits() {
    let began = Instant::now();
    let told = panic_of(waits_in_vain);
    assert!(began.elapsed() < Duration::from_secs(60), "not by its limit");
    assert!(told.starts_with("waits_in_vain: Deadlock: "), "{told}");
    let lines: Vec<_> = told.lines().skip(1).collect();
    assert_eq!(lines.len(), 2, "{told}");
    let main = format!(", the main future, run at tests/attributes_test.rs:{}:", STUCK_AT - 4);
    assert!(lines[0].contains(&main) && lines[0].contains(", awaits Task-"), "{told}");
    let stuck = format!("spawned at tests/attributes_test.rs:{STUCK_AT}:");
    assert!(lines[1].contains("'the one that is stuck'") && lines[1].contains(&stuck), "{told}");
}

/// Not at all within its limit.
async fn takes_its_time() {
    task::cancelled().await;
    pending::<()>().await;
}

#[loop_test(timeout = "50ms")]
#[ignore = "it fails: called by another test"]
async fn ends_but_its_task_does_not() {
    let named = get_event_loop().expect("a loop").task_builder().name("told and deaf");
    named.spawn(takes_its_time()).detach();
    yield_now().await;
}

#[loop_test(timeout = "50ms")]
#[ignore = "it fails: called by another test"]
fn ends_but_its_task_does_not_without_await() {
    let event_loop = get_event_loop().expect("a loop");
    event_loop.task_builder().name("told and deaf").spawn(takes_its_time()).detach();
    event_loop.run_until_complete(yield_now()).expect("it runs");
}

#[test]
fn the_limit_is_that_of_the_end_as_well() {
    let began = Instant::now();
    let told = panic_of(ends_but_its_task_does_not);
    assert!(told.contains("ends_but_its_task_does_not timed out after 50ms"), "{told}");
    assert!(told.contains("told and deaf"), "{told}");
    let told = panic_of(ends_but_its_task_does_not_without_await);
    assert!(told.contains("timed out after 50ms") && told.contains("told and deaf"), "{told}");
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[loop_test(timeout = "20ms")]
#[ignore = "it fails: called by another test"]
fn runs_for_ever_without_await() {
    get_event_loop().expect("a loop").run_forever().expect("it runs");
}

#[loop_test(timeout = "20ms")]
#[ignore = "it fails: called by another test"]
fn takes_too_long_without_a_loop() {
    thread::sleep(Duration::from_millis(40));
}

#[loop_test(timeout = "20ms")]
#[ignore = "it fails: called by another test"]
async fn takes_too_long_in_one_poll() -> Result<(), String> {
    thread::sleep(Duration::from_millis(40));
    Ok(())
}

#[loop_test(timeout = "20ms")]
#[ignore = "it fails: called by another test"]
fn panics_for_being_stopped() {
    get_event_loop().expect("a loop").run_until_complete(pending::<()>()).expect("its end");
}

#[test]
fn a_body_that_took_too_long_fails_however_it_ended() {
    let told = panic_of(runs_for_ever_without_await);
    assert!(told.contains("runs_for_ever_without_await timed out after 20ms"), "{told}");
    let told = panic_of(takes_too_long_without_a_loop);
    assert!(told.contains("timed out after 20ms"), "{told}");
    let told = panic_of(takes_too_long_in_one_poll);
    assert!(told.contains("timed out after 20ms"), "{told}");
    let told = panic_of(panics_for_being_stopped);
    assert!(told.contains("timed out after 20ms; it panicked: its end"), "{told}");
}

// ─── seeds ──────────────────────────────────────────────────────────────────────────────────────

/// The order in which five tasks of the running loop begin.
async fn an_order() -> Vec<u32> {
    let order = Rc::new(RefCell::new(Vec::new()));
    let tasks: Vec<_> = (0..5)
        .map(|number| {
            let order = Rc::clone(&order);
            spawn(async move { order.borrow_mut().push(number) })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    order.take()
}

static RUNS: AtomicU32 = AtomicU32::new(0);
static ORDERS: Mutex<Vec<Vec<u32>>> = Mutex::new(Vec::new());

#[loop_test(seeds = 10..26)]
#[ignore = "it is called by another test, which counts its runs"]
async fn runs_for_each_seed() {
    RUNS.fetch_add(1, Ordering::Relaxed);
    let order = an_order().await;
    ORDERS.lock().expect("no panic").push(order);
}

#[loop_test(seeds = 0..3)]
#[ignore = "it is called by another test, which counts its runs"]
fn runs_for_each_seed_without_await() {
    PLAIN_RUNS.fetch_add(1, Ordering::Relaxed);
}

static PLAIN_RUNS: AtomicU32 = AtomicU32::new(0);

#[test]
fn every_seed_runs_each_with_its_own_order() {
    runs_for_each_seed();
    assert_eq!(RUNS.load(Ordering::Relaxed), 16);
    let first = std::mem::take(&mut *ORDERS.lock().expect("no panic"));
    let different: BTreeSet<_> = first.iter().collect();
    assert!(different.len() > 1, "16 seeds and one order: {first:?}");
    runs_for_each_seed();
    let second = std::mem::take(&mut *ORDERS.lock().expect("no panic"));
    assert_eq!(first, second, "a seed has the same order every time");
    runs_for_each_seed_without_await();
    assert_eq!(PLAIN_RUNS.load(Ordering::Relaxed), 3);
}

#[loop_test]
async fn without_a_seed_the_order_is_that_of_creation() {
    assert_eq!(an_order().await, [0, 1, 2, 3, 4]);
}

static SEEN: Mutex<Vec<Vec<u32>>> = Mutex::new(Vec::new());

#[loop_test(seed = 10 + 2)]
#[ignore = "it is called by another test"]
async fn one_seed() {
    let order = an_order().await;
    SEEN.lock().expect("no panic").push(order);
}

#[test]
fn one_seed_runs_once_and_alike_every_time() {
    one_seed();
    one_seed();
    let seen = SEEN.lock().expect("no panic");
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0], seen[1]);
}

#[loop_test(seeds = 0..64)]
#[ignore = "it fails: called by another test"]
async fn leans_on_the_order() {
    let order = an_order().await;
    assert_eq!(order, [0, 1, 2, 3, 4], "it leans on the order");
}

#[loop_test(virtual_time, seeds = 5..8)]
#[ignore = "it fails: called by another test"]
async fn fails_at_the_first_seed() -> Result<(), String> {
    yield_now().await;
    Err("an error, not a panic".to_owned())
}

#[test]
fn the_seed_that_fails_is_told_with_the_line_to_paste() {
    let (written, passed) = output_of("fails_at_the_first_seed");
    assert!(!passed, "{written}");
    assert!(written.contains("#[loop_test(virtual_time, seed = 5)]"), "{written}");
    assert!(written.contains("an error, not a panic"), "{written}");

    let (written, passed) = output_of("leans_on_the_order");
    assert!(!passed, "{written}");
    assert!(written.contains("it leans on the order"), "{written}");
    let line = written.split("#[loop_test(seed = ").nth(1).expect("the line to paste");
    let seed: u64 = line.split(')').next().expect("the seed").parse().expect("a number");
    // The same order again: what the line would do.
    let builder = loopbind::EventLoop::builder().shuffle(seed);
    let order = builder.build().expect("a loop").run_until_complete(an_order()).expect("it runs");
    let said = format!("left: {order:?}");
    assert!(written.contains(&said), "seed {seed} gives {order:?}, not what failed:\n{written}");
}

#[loop_test(seeds = 3..9)]
#[ignore = "it fails: called by another test"]
async fn leaves_a_task_behind() {
    drop(spawn(pending::<()>()));
}

#[loop_test(seeds = 3..9, timeout = "20ms")]
#[ignore = "it fails: called by another test"]
async fn is_busy_with_any_seed() {
    loop {
        yield_now().await;
    }
}

#[loop_test(seeds = 3..9, virtual_time)]
#[ignore = "it fails: called by another test"]
async fn waits_with_any_seed() {
    pending::<()>().await;
}

#[loop_test(seeds = 3..9)]
#[ignore = "it fails: called by another test"]
async fn panics_with_any_seed() {
    panic!("with any seed");
}

#[loop_test(seeds = 3..9)]
#[ignore = "it fails: called by another test"]
async fn hides_a_panic_with_any_seed() {
    spawn(async { panic!("nobody looks") }).detach();
}

#[test]
fn whatever_fails_a_test_names_its_seed_and_both_ways_to_run_it_again() {
    let cases = [
        ("leaves_a_task_behind", "left tasks running", ""),
        ("is_busy_with_any_seed", "timed out after 20ms", "timeout = \"20ms\", "),
        ("waits_with_any_seed", "Deadlock", "virtual_time, "),
        ("panics_with_any_seed", "with any seed", ""),
        ("hides_a_panic_with_any_seed", "panics that nobody saw", ""),
    ];
    for (test, says, options) in cases {
        let (written, passed) = output_of(test);
        assert!(!passed && written.contains(says), "{written}");
        let lines = format!(
            "{test} failed with seed 3; to run this order again: #[loop_test({options}seed = 3)]\n\
             or, with the test as it is: LOOPBIND_SEED=3 cargo test {test}\n\
             1 seed tried in "
        );
        assert!(written.contains(&lines), "{written}");
    }
    // What the second line says.
    let (written, passed) = output_under(&[("LOOPBIND_SEED", "3")], "waits_with_any_seed");
    assert!(!passed && written.contains("waits_with_any_seed failed with seed 3;"), "{written}");
}

#[loop_test(seeds = 0..2)]
#[ignore = "it is called by another test, which counts its runs"]
async fn says_its_order() {
    println!("order: {:?}", an_order().await);
}

#[loop_test(seed = 5)]
#[ignore = "it is called by another test, which counts its runs"]
async fn says_the_order_of_its_seed() {
    println!("order: {:?}", an_order().await);
}

#[loop_test]
#[ignore = "it is called by another test, which counts its runs"]
async fn says_the_order_of_creation() {
    println!("order: {:?}", an_order().await);
}

#[test]
fn the_environment_says_which_seeds_a_range_is_tried_with() {
    let orders = |variables: &[(&str, &str)], test: &str| {
        let (written, passed) = output_under(variables, test);
        assert!(passed, "{written}");
        let orders = written.lines().filter_map(|line| line.split("order: ").nth(1));
        orders.map(str::to_owned).collect::<Vec<_>>()
    };
    let (one, many) = (("LOOPBIND_SEED", "17"), ("LOOPBIND_SEEDS", "16..20"));
    let seeds = |seeds: std::ops::Range<u64>| {
        let order = |seed| {
            let event_loop = EventLoop::builder().shuffle(seed).build().expect("a loop");
            format!("{:?}", event_loop.run_until_complete(an_order()).expect("it runs"))
        };
        seeds.map(order).collect::<Vec<_>>()
    };
    assert_eq!(orders(&[], "says_its_order"), seeds(0..2));
    assert_eq!(orders(&[many], "says_its_order"), seeds(16..20));
    assert_eq!(orders(&[one, many], "says_its_order"), seeds(17..18), "one goes before many");
    assert_eq!(orders(&[("LOOPBIND_SEEDS", "")], "says_its_order"), seeds(0..2));
    // What was written for one order is tried in that one.
    assert_eq!(orders(&[one, many], "says_the_order_of_its_seed"), seeds(5..6));
    assert_eq!(orders(&[one, many], "says_the_order_of_creation"), ["[0, 1, 2, 3, 4]"]);

    let (written, passed) = output_under(&[("LOOPBIND_SEEDS", "many")], "says_its_order");
    let told = "the environment variable LOOPBIND_SEEDS is \"many\", and takes a range of numbers";
    assert!(!passed && written.contains(told), "{written}");
    assert!(written.contains("attributes_test.rs"), "at the test: {written}");
}

#[loop_test(name = "n", debug, timeout = "1500ms", virtual_time, seeds = 5..8)]
#[ignore = "it fails: called by another test"]
async fn fails_with_a_code() -> ExitCode {
    yield_now().await;
    CODE_RUNS.fetch_add(1, Ordering::Relaxed);
    if CODE_RUNS.load(Ordering::Relaxed) == 1 { ExitCode::from(3) } else { ExitCode::SUCCESS }
}

static CODE_RUNS: AtomicU32 = AtomicU32::new(0);

#[loop_test(seeds = 5..8)]
#[ignore = "it fails: called by another test"]
fn fails_with_a_code_in_a_result() -> Result<ExitCode, String> {
    let runs = CODE_RESULTS.fetch_add(1, Ordering::Relaxed);
    Ok(if runs == 1 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

static CODE_RESULTS: AtomicU32 = AtomicU32::new(0);

#[loop_test(seeds = 0..3)]
async fn a_code_of_success_is_one() -> Result<ExitCode, String> {
    Ok(ExitCode::SUCCESS)
}

#[test]
fn a_code_of_failure_fails_its_seed() {
    let (written, passed) = output_of("fails_with_a_code");
    assert!(!passed, "{written}");
    let line = "fails_with_a_code failed with seed 5; to run this order again: \
        #[loop_test(name = \"n\", debug, virtual_time, timeout = \"1500ms\", seed = 5)]";
    assert!(written.contains(line), "{written}");
    let (written, passed) = output_of("fails_with_a_code_in_a_result");
    assert!(!passed, "{written}");
    assert!(written.contains("#[loop_test(seed = 6)]"), "{written}");
}

// ─── nothing unnoticed ──────────────────────────────────────────────────────────────────────────

#[loop_test]
#[ignore = "it fails: called by another test"]
async fn leaves_a_task() {
    let builder = get_event_loop().expect("a loop").task_builder().name("the one left");
    let task = builder.spawn(pending::<()>());
    yield_now().await;
    drop(task);
}

const LEFT_AT: u32 = line!() - 5;

#[loop_test(seeds = 0..2)]
#[ignore = "it fails: called by another test"]
async fn leaves_a_task_without_a_name() -> Result<(), String> {
    drop(spawn(pending::<()>()));
    Ok(())
}

#[loop_test]
#[ignore = "it fails: called by another test"]
fn leaves_a_task_without_await() {
    let event_loop = get_event_loop().expect("a loop");
    drop(event_loop.create_task(pending::<()>()));
}

#[test]
fn a_task_left_running_fails_the_test_by_name_and_place() {
    let told = panic_of(leaves_a_task);
    assert!(told.contains("leaves_a_task left tasks running"), "{told}");
    assert!(told.contains("the one left"), "{told}");
    assert!(told.contains(&format!("attributes_test.rs:{LEFT_AT}:")), "{told}");
    assert!(told.contains("detach"), "it says what to do: {told}");
    let told = panic_of(leaves_a_task_without_a_name);
    assert!(told.contains("left tasks running"), "{told}");
    let told = panic_of(leaves_a_task_without_await);
    assert!(told.contains("left tasks running"), "{told}");
}

#[loop_test]
#[ignore = "it fails: called by another test"]
fn leaves_a_task_and_closes() {
    let event_loop = get_event_loop().expect("a loop");
    let _task = event_loop.task_builder().name("cut off").spawn(pending::<()>());
    event_loop.close().expect("it does not run");
}

#[test]
fn closing_does_not_hide_a_task_that_was_left() {
    let told = panic_of(leaves_a_task_and_closes);
    assert!(told.contains("left tasks running") && told.contains("cut off"), "{told}");
}

#[loop_test]
fn closing_ends_what_is_detached_or_over() {
    let event_loop = get_event_loop().expect("a loop");
    event_loop.create_task(pending::<()>()).detach();
    event_loop.run_until_complete(event_loop.create_task(async {})).expect("it runs").expect("Ok");
    event_loop.close().expect("it does not run");
}

#[loop_test]
async fn a_detached_task_is_exempt() {
    spawn(pending::<()>()).detach();
    yield_now().await;
}

#[loop_test]
async fn a_cancelled_task_is_no_leak() {
    let task = spawn(pending::<()>());
    yield_now().await;
    task.cancel();
    assert!(task.await.is_err());
}

#[loop_test]
#[ignore = "it fails: called by another test"]
async fn hides_a_panic() {
    drop(spawn(async { panic!("nobody looks") }));
    yield_now().await;
    yield_now().await;
}

#[loop_test]
#[ignore = "it fails: called by another test"]
async fn hides_a_panic_in_a_callback() {
    get_event_loop().expect("a loop").call_soon(|| panic!("nobody looks here either"));
    yield_now().await;
    yield_now().await;
}

#[test]
fn a_panic_that_nobody_saw_fails_the_test() {
    let told = panic_of(hides_a_panic);
    assert!(told.contains("nobody looks"), "{told}");
    let told = panic_of(hides_a_panic_in_a_callback);
    assert!(told.contains("nobody looks here either"), "{told}");
}

#[loop_test]
#[ignore = "it fails: called by another test"]
async fn hides_a_panic_behind_a_broken_handler() {
    let event_loop = get_event_loop().expect("a loop");
    event_loop.set_exception_handler(Some(Box::new(|_, _| panic!("the handler's own"))));
    drop(spawn(async { panic!("nobody looks") }));
    yield_now().await;
    yield_now().await;
}

#[loop_test]
#[ignore = "it fails: called by another test"]
async fn hides_a_panic_behind_no_handler() {
    get_event_loop().expect("a loop").set_exception_handler(None);
    drop(spawn(async { panic!("nobody looks") }));
    yield_now().await;
    yield_now().await;
}

#[loop_test(builder = EventLoop::builder().on_unhandled_panic(UnhandledPanic::Resume))]
#[ignore = "it fails: called by another test"]
fn hides_a_panic_in_a_loop_that_it_closes() {
    let event_loop = get_event_loop().expect("a loop");
    event_loop.create_task(async { panic!("thrown to none") }).detach();
    let thrown = panic::catch_unwind(|| get_event_loop().expect("a loop").run_forever());
    assert!(thrown.is_err());
    let last = OnDrop(|| panic!("thrown at the end"));
    event_loop
        .create_task(async move {
            let _last = last;
            pending::<()>().await;
        })
        .detach();
    event_loop.run_until_complete(yield_now()).expect("it runs");
    event_loop.close().expect("it does not run");
}

struct OnDrop(fn());

impl Drop for OnDrop {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn a_panic_fails_the_test_whatever_it_does_with_the_handler() {
    let told = panic_of(hides_a_panic_behind_a_broken_handler);
    assert!(told.contains("nobody looks") && told.contains("the handler's own"), "{told}");
    let told = panic_of(hides_a_panic_behind_no_handler);
    assert!(told.contains("panics that nobody saw") && told.contains("nobody looks"), "{told}");
    let told = panic_of(hides_a_panic_in_a_loop_that_it_closes);
    assert!(told.contains("thrown at the end") && !told.contains("thrown to none"), "{told}");
}

#[loop_test]
async fn a_panic_that_the_tests_own_handler_saw_does_not() {
    let seen = Rc::new(RefCell::new(String::new()));
    let sees = Rc::clone(&seen);
    get_event_loop().expect("a loop").set_exception_handler(Some(Box::new(move |_, context| {
        sees.borrow_mut()
            .push_str(context.panic.as_ref().and_then(|panic| panic.message()).unwrap_or("?"));
    })));
    drop(spawn(async { panic!("the test looks") }));
    yield_now().await;
    yield_now().await;
    assert_eq!(*seen.borrow(), "the test looks");
}

#[test]
fn a_failure_points_at_the_test() {
    for (test, line) in [("leaves_a_task", LEFT_AT - 4), ("hides_a_panic_here", HIDES_AT)] {
        let (written, passed) = output_of(test);
        let place = format!("attributes_test.rs:{line}:");
        assert!(
            !passed && written.contains(&place) && !written.contains("test_entry.rs"),
            "{written}"
        );
    }
    let (written, _) = output_of("is_busy_for_ever");
    assert!(!written.contains("test_entry.rs"), "{written}");
}

const HIDES_AT: u32 = line!() + 2;

#[loop_test(seeds = 0..2)]
#[ignore = "it fails: called by another test"]
fn hides_a_panic_here() {
    let event_loop = get_event_loop().expect("a loop");
    event_loop.call_soon(|| panic!("nobody looks"));
    event_loop.run_until_complete(yield_now()).expect("it runs");
}

#[loop_test]
async fn a_panic_that_somebody_saw_does_not() {
    let task = spawn(async { panic!("somebody looks") });
    assert!(task.await.is_err());
}

#[test]
fn nothing_stays_bound_after_a_test() {
    assert!(panic::catch_unwind(leaves_a_task).is_err());
    assert!(panic::catch_unwind(waits_for_ever).is_err());
    assert!(get_bound_loop().is_none());
    assert!(get_running_loop().is_err());
}

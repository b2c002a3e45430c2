//! What a subscriber of the `tracing` crate's is told, in order; and that one which panics, starts tasks, cancels, wakes,
//! closes or looks up the loop as it is told changes nothing but that.

mod support;

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use loopbind::{EventLoop, LoopError, Task, UnhandledPanic, get_event_loop, task, yield_now};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::with_default;
use tracing::{Event, Level, Metadata, Subscriber, debug_span};
use tracing_core::span::Current;

use support::{Trace, in_good_child, note_reports, turn, virtual_loop};

type Hook = dyn Fn(&str) + Send + Sync;
type LocalHook = Rc<dyn Fn(&str)>;

/// Notes what it is told, spans by the names of their tasks, and then calls its hook.
struct Scribe {
    trace: Trace,
    names: Mutex<Vec<(String, &'static Metadata<'static>)>>,
    stack: Mutex<Vec<u64>>,
    facts: Facts,
    hook: Box<Hook>,
}

/// Which fields it writes down.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Facts {
    None,
    All,
}

impl Scribe {
    fn new(trace: &Trace, hook: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let (names, stack) = (Mutex::default(), Mutex::default());
        Scribe { trace: trace.clone(), names, stack, facts: Facts::None, hook: Box::new(hook) }
    }

    fn plain(trace: &Trace) -> Self {
        Self::new(trace, |_| {})
    }

    fn note(&self, event: String) {
        self.trace.note(&event);
        (self.hook)(&event);
    }

    fn name(&self, id: &Id) -> String {
        self.names.lock().unwrap()[id.into_u64() as usize - 1].0.clone()
    }
}

#[derive(Default)]
struct Fields {
    name: Option<String>,
    message: String,
    all: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "task.name" => self.name = Some(format!("{value:?}").trim_matches('"').to_owned()),
            // It is what it took.
            "seconds" => self.all += " seconds",
            name => write!(self.all, " {name}={value:?}").unwrap(),
        }
    }
}

impl Subscriber for Scribe {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::DEBUG && ["loopbind", "own"].contains(&metadata.target())
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        span.record(&mut fields);
        let known = fields.name.unwrap_or_else(|| match span.metadata().name() {
            "task" => "unnamed".to_owned(),
            own => own.to_owned(),
        });
        let id = {
            let mut names = self.names.lock().unwrap();
            names.push((known.clone(), span.metadata()));
            Id::from_u64(names.len() as u64)
        };
        let root = if span.is_root() || known == "cause" { "" } else { ", a child" };
        match self.facts {
            Facts::None => self.note(format!("new {known}{root}")),
            Facts::All => self.note(format!("new {known}{root}:{}", fields.all)),
        }
        id
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.note(format!("{} follows {}", self.name(span), self.name(follows)));
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut text = format!("{} {}", event.metadata().level(), fields.message);
        if self.facts == Facts::All {
            text += &fields.all;
        }
        if let Some(name) = fields.name {
            write!(text, " ({name})").unwrap();
        }
        self.note(text);
    }

    fn enter(&self, span: &Id) {
        self.stack.lock().unwrap().push(span.into_u64());
        self.note(format!("enter {}", self.name(span)));
    }

    fn exit(&self, span: &Id) {
        let top = self.stack.lock().unwrap().pop();
        assert_eq!(top, Some(span.into_u64()), "left in reverse");
        self.note(format!("exit {}", self.name(span)));
    }

    fn try_close(&self, span: Id) -> bool {
        self.note(format!("close {}", self.name(&span)));
        true
    }

    fn current_span(&self) -> Current {
        match self.stack.lock().unwrap().last() {
            Some(&id) => {
                let metadata = self.names.lock().unwrap()[id as usize - 1].1;
                Current::new(Id::from_u64(id), metadata)
            }
            None => Current::none(),
        }
    }
}

fn named<F>(event_loop: &EventLoop, name: &str, future: F) -> Task<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    event_loop.task_builder().name(name).spawn(future)
}

#[test]
fn started_then_polled_twice_then_over_is_a_span_entered_twice_then_closed() {
    let trace = Trace::new();
    with_default(Scribe::plain(&trace), || {
        let event_loop = virtual_loop();
        let inner = trace.clone();
        let probe = trace.probe("future");
        let task = named(&event_loop, "a", async move {
            let _probe = probe;
            inner.note("first step");
            yield_now().await;
            inner.note("second step");
        });
        trace.assert(&["new a"]);
        turn(&event_loop);
        trace.assert(&["enter a", "first step", "exit a"]);
        turn(&event_loop);
        // What the future leaves is dropped within the span, and whoever waits hears of it behind the end.
        trace.assert(&["enter a", "second step", "future dropped", "exit a", "close a"]);
        assert!(task.is_finished());
    });
    trace.assert(&["DEBUG event loop closes"]);
}

#[test]
fn run_then_stopped_then_closed_are_events_around_the_spans_of_a_main_future_and_its_task() {
    let trace = Trace::new();
    with_default(Scribe::plain(&trace), || {
        let event_loop = virtual_loop();
        let inner = trace.clone();
        let main = async {
            let task = get_event_loop().unwrap().task_builder().name("a").spawn(async {});
            task.await.unwrap();
            inner.note("main hears of it");
        };
        event_loop.run_until_complete(main).unwrap();
        event_loop.close().unwrap();
    });
    trace.assert(&[
        "new unnamed",
        "DEBUG event loop runs",
        "enter unnamed",
        "new a",
        "a follows unnamed",
        "exit unnamed",
        "enter a",
        "exit a",
        "close a",
        "enter unnamed",
        "main hears of it",
        "exit unnamed",
        "close unnamed",
        "DEBUG event loop stopped",
        "DEBUG event loop closes",
    ]);
}

#[test]
fn a_run_that_is_stopped_closes_the_span_of_its_main_future() {
    let trace = Trace::new();
    with_default(Scribe::plain(&trace), || {
        let event_loop = virtual_loop();
        event_loop.stop();
        let stopped = event_loop.run_until_complete(pending::<()>());
        assert!(matches!(stopped, Err(LoopError::StoppedBeforeComplete)));
        trace.assert(&[
            "new unnamed",
            "DEBUG event loop runs",
            "enter unnamed",
            "exit unnamed",
            "DEBUG event loop stopped",
            "enter unnamed",
            "exit unnamed",
            "close unnamed",
        ]);
    });
}

#[test]
fn a_main_future_that_is_stopped_half_way_is_dropped_within_its_span() {
    let trace = Trace::new();
    with_default(Scribe::plain(&trace), || {
        let event_loop = virtual_loop();
        let (probe, stops) = (trace.probe("main"), event_loop.clone());
        let stopped = event_loop.run_until_complete(async move {
            let _probe = probe;
            stops.stop();
            pending::<()>().await;
        });
        assert!(matches!(stopped, Err(LoopError::StoppedBeforeComplete)));
        trace.assert(&[
            "new unnamed",
            "DEBUG event loop runs",
            "enter unnamed",
            "exit unnamed",
            "DEBUG event loop stopped",
            "enter unnamed",
            "main dropped",
            "exit unnamed",
            "close unnamed",
        ]);
    });
}

/// The fields that say where something was made.
fn place(line: u32, column: u32) -> String {
    format!("loc.file={:?} loc.line={line} loc.col={column}", file!())
}

#[test]
fn spans_and_events_have_the_number_the_name_the_parent_and_the_place_of_their_task() {
    let trace = Trace::new();
    let scribe = Scribe { facts: Facts::All, ..Scribe::plain(&trace) };
    with_default(scribe, || {
        let event_loop = virtual_loop();
        let loop_id = event_loop.id().get();
        event_loop.set_debug(true);
        event_loop.set_slow_callback_duration(Duration::ZERO);
        let outer = event_loop.create_task(async {
            let event_loop = get_event_loop().unwrap();
            event_loop.task_builder().name("inner").spawn(async { panic!("no more tea") }).info()
        });
        let parent = outer.info();
        turn(&event_loop);
        let inner = event_loop.run_until_complete(outer).unwrap().unwrap();
        let (outer_at, inner_at) = (parent.spawned_at, inner.spawned_at);
        let (outer_at, inner_at) =
            (place(outer_at.line(), outer_at.column()), place(inner_at.line(), inner_at.column()));
        let (outer, inner) = (parent.id.get(), inner.id.get());
        let of_loop = format!("event_loop={loop_id}");
        let expected = [
            format!("new unnamed: {of_loop} task.id={outer} {outer_at}"),
            format!("new inner: {of_loop} task.id={inner} task.parent={outer} {inner_at}"),
            format!("WARN slow poll {of_loop} task.id={outer} {outer_at} seconds"),
            format!("WARN slow poll {of_loop} task.id={inner} {inner_at} seconds (inner)"),
            format!(
                "ERROR Task exception was never retrieved {of_loop} task.id={inner} {inner_at} \
                 panic=\"no more tea\" (inner)"
            ),
        ];
        let told = trace.take();
        for event in expected {
            assert_eq!(told.iter().filter(|it| **it == event).count(), 1, "{event}\n{told:#?}");
        }
    });
}

#[test]
fn a_slow_callback_is_an_event_with_its_place() {
    let trace = Trace::new();
    let scribe = Scribe { facts: Facts::All, ..Scribe::plain(&trace) };
    with_default(scribe, || {
        let event_loop = virtual_loop();
        let id = event_loop.id().get();
        event_loop.set_debug(true);
        event_loop.set_slow_callback_duration(Duration::ZERO);
        let line = line!() + 1;
        event_loop.call_soon(|| {});
        turn(&event_loop);
        let place = place(line, 20);
        let expected = format!("WARN slow callback event_loop={id} {place} seconds");
        trace.assert(&[&expected]);
    });
}

#[test]
fn what_the_users_handler_hears_is_no_event_until_it_asks_for_the_default_one() {
    let trace = Trace::new();
    with_default(Scribe::plain(&trace), || {
        let event_loop = virtual_loop();
        let inner = trace.clone();
        event_loop.set_exception_handler(Some(Box::new(move |event_loop, context| {
            inner.note(format!("handler: {}", context.message));
            event_loop.default_exception_handler(context);
        })));
        event_loop.call_exception_handler(&loopbind::ExceptionContext::new("connection lost"));
    });
    trace.assert(&["handler: connection lost", "ERROR connection lost", "DEBUG event loop closes"]);
}

#[test]
fn cancelled_then_dropped_within_the_span_then_closed() {
    let trace = Trace::new();
    with_default(Scribe::plain(&trace), || {
        let event_loop = virtual_loop();
        let probe = trace.probe("future");
        let task = named(&event_loop, "a", async move {
            let _probe = probe;
            pending::<()>().await;
        });
        turn(&event_loop);
        task.cancel();
        trace.assert(&["new a", "enter a", "exit a"]);
        turn(&event_loop);
        trace.assert(&["enter a", "future dropped", "exit a", "close a"]);
    });
}

#[test]
fn closed_with_tasks_is_an_event_then_each_is_dropped_within_its_span() {
    let trace = Trace::new();
    with_default(Scribe::plain(&trace), || {
        let event_loop = virtual_loop();
        for name in ["a", "b"] {
            let probe = trace.probe(name);
            named(&event_loop, name, async move {
                let _probe = probe;
                pending::<()>().await;
            })
            .detach();
        }
        event_loop.close().unwrap();
    });
    trace.assert(&[
        "new a",
        "new b",
        "DEBUG event loop closes",
        "enter a",
        "a dropped",
        "exit a",
        "close a",
        "enter b",
        "b dropped",
        "exit b",
        "close b",
    ]);
}

#[test]
fn a_task_from_another_thread_has_the_span_of_that_threads_subscriber() {
    let (here, there) = (Trace::new(), Trace::new());
    with_default(Scribe::plain(&here), || {
        let event_loop = virtual_loop();
        let handle = event_loop.handle();
        let scribe = Scribe::plain(&there);
        let poster = std::thread::spawn(move || {
            with_default(scribe, || {
                let cause = debug_span!(target: "own", "cause");
                cause.in_scope(|| handle.spawn(|| async {}).unwrap())
            })
        });
        let task = poster.join().unwrap();
        there.assert(&[
            "new cause",
            "enter cause",
            "new unnamed",
            "unnamed follows cause",
            "exit cause",
            "close cause",
        ]);
        turn(&event_loop);
        task.join().unwrap();
        there.assert(&["enter unnamed", "exit unnamed", "close unnamed"]);
        here.assert(&[]);
    });
}

#[test]
fn a_post_that_is_refused_closes_its_span_there() {
    let trace = Trace::new();
    let event_loop = virtual_loop();
    let handle = event_loop.handle();
    event_loop.close().unwrap();
    with_default(Scribe::plain(&trace), || {
        assert!(matches!(handle.spawn(|| async {}), Err(LoopError::Closed)));
    });
    trace.assert(&["new unnamed", "close unnamed"]);
    // One that panics is no panic of who posts.
    for at in ["new unnamed", "close unnamed"] {
        with_default(panics_at(&trace, at), || {
            assert!(matches!(handle.spawn(|| async {}), Err(LoopError::Closed)), "{at}");
        });
    }
}

#[test]
fn a_panic_that_found_no_run_to_leave_is_an_event_as_its_loop_goes() {
    let trace = Trace::new();
    with_default(Scribe::plain(&trace), || {
        let builder = EventLoop::builder().on_unhandled_panic(UnhandledPanic::Resume);
        let event_loop = builder.build().unwrap();
        let task = named(&event_loop, "a", async { panic!("no more tea") });
        turn(&event_loop);
        drop::<Task<()>>(task);
    });
    trace.assert(&[
        "new a",
        "enter a",
        "exit a",
        "close a",
        "DEBUG event loop closes",
        "ERROR Task exception was never retrieved (a)",
    ]);
}

#[test]
fn nobody_is_told_once_the_subscriber_is_gone_but_of_spans_it_has() {
    let trace = Trace::new();
    let event_loop = virtual_loop();
    let before = named(&event_loop, "before", async {});
    let task = with_default(Scribe::plain(&trace), || named(&event_loop, "a", async {}));
    let after = named(&event_loop, "after", async {});
    turn(&event_loop);
    assert!(before.is_finished() && task.is_finished() && after.is_finished());
    drop(event_loop);
    trace.assert(&["new a", "enter a", "exit a", "close a"]);
}

/// A subscriber that panics at `at`.
fn panics_at(trace: &Trace, at: &'static str) -> Scribe {
    Scribe::new(trace, move |event| {
        if event == at {
            panic!("{event}");
        }
    })
}

#[test]
fn a_subscriber_that_panics_is_reported_and_the_task_goes_on() {
    for at in ["new a", "enter a", "exit a", "close a"] {
        let trace = Trace::new();
        with_default(panics_at(&trace, at), || {
            let event_loop = virtual_loop();
            let reports = Trace::new();
            note_reports(&event_loop, &reports);
            let task = named(&event_loop, "a", async {
                yield_now().await;
                "its value"
            });
            let other = event_loop.create_task(async { "the other's" });
            turn(&event_loop);
            turn(&event_loop);
            assert_eq!(event_loop.run_until_complete(task).unwrap().unwrap(), "its value", "{at}");
            assert_eq!(event_loop.run_until_complete(other).unwrap().unwrap(), "the other's");
            let report = format!("exception in a tracing subscriber: {at}");
            let expected = match at {
                "enter a" | "exit a" => vec![report.clone(), report],
                _ => vec![report],
            };
            assert_eq!(reports.take(), expected);
        });
    }
}

#[test]
fn a_subscriber_that_panics_as_a_task_is_dropped_or_its_loop_closed_or_run_is_reported() {
    for at in [
        "enter a",
        "exit a",
        "close a",
        "DEBUG event loop closes",
        "DEBUG event loop runs",
        "DEBUG event loop stopped",
    ] {
        let (trace, reports) = (Trace::new(), Trace::new());
        with_default(panics_at(&trace, at), || {
            let event_loop = virtual_loop();
            note_reports(&event_loop, &reports);
            let probe = reports.probe("future");
            let task = named(&event_loop, "a", async move {
                let _probe = probe;
                pending::<()>().await
            });
            event_loop.stop();
            event_loop.run_forever().unwrap();
            event_loop.close().unwrap();
            assert!(event_loop.is_closed() && task.is_finished());
        });
        let told = trace.take();
        let report = format!("exception in a tracing subscriber: {at}");
        let mut reported = reports.take();
        assert!(reported.contains(&"future dropped".to_owned()), "{at}");
        reported.retain(|it| it != "future dropped");
        let times = told.iter().filter(|it| *it == at).count();
        assert_eq!(reported, vec![report; times], "{at}: {told:?}");
        assert!(times >= 1);
    }
}

#[test]
fn a_subscriber_that_panics_at_a_report_is_not_told_of_that() {
    let trace = Trace::new();
    with_default(panics_at(&trace, "ERROR connection lost"), || {
        let event_loop = virtual_loop();
        event_loop.call_exception_handler(&loopbind::ExceptionContext::new("connection lost"));
        turn(&event_loop);
        trace.assert(&["ERROR connection lost"]);
    });
}

#[test]
fn a_subscriber_that_starts_a_task_for_all_it_hears_comes_to_an_end() {
    let (trace, ran) = (Trace::new(), Arc::new(Mutex::new(0)));
    let hook = {
        let ran = Arc::clone(&ran);
        move |_: &str| {
            let ran = Arc::clone(&ran);
            // Outside of a run there is none.
            if let Ok(event_loop) = loopbind::get_running_loop() {
                event_loop.create_task(async move { *ran.lock().unwrap() += 1 }).detach();
            }
        }
    };
    with_default(Scribe::new(&trace, hook), || {
        let event_loop = virtual_loop();
        named(&event_loop, "a", yield_now()).detach();
        while turn(&event_loop) > 0 {}
        trace.assert(&["new a", "enter a", "exit a", "enter a", "exit a", "close a"]);
        assert_eq!(*ran.lock().unwrap(), 5); // all but the first, which was told outside
    });
}

/// A global subscriber is called from inside of itself, unlike one of a thread: only loopbind keeps it from that.
#[test]
fn a_global_subscriber_that_starts_tasks_and_reports_errors_comes_to_an_end() {
    in_good_child(
        "a_global_subscriber_that_starts_tasks_and_reports_errors_comes_to_an_end",
        || {
            let trace = Trace::new();
            let hook = |_: &str| {
                if let Ok(event_loop) = loopbind::get_running_loop() {
                    event_loop.create_task(async {}).detach();
                    event_loop.call_exception_handler(&loopbind::ExceptionContext::new("heard"));
                }
            };
            tracing::subscriber::set_global_default(Scribe::new(&trace, hook)).unwrap();
            let event_loop = virtual_loop();
            named(&event_loop, "a", async {}).detach();
            while turn(&event_loop) > 0 {}
            trace.assert(&["new a", "enter a", "exit a", "close a"]);
        },
    );
}

#[test]
fn a_subscriber_finds_the_loop_that_runs_and_the_task_whose_step_it_is() {
    let (trace, found) = (Trace::new(), Trace::new());
    let hook = {
        let found = found.clone();
        move |event: &str| {
            let event_loop =
                loopbind::get_running_loop().map(|it| it.id().get().get()).unwrap_or(0);
            let task = task::current().and_then(|it| it.name).unwrap_or_default();
            found.note(format!("{event}: {event_loop} {task}"));
        }
    };
    with_default(Scribe::new(&trace, hook), || {
        let event_loop = virtual_loop();
        let id = event_loop.id().get();
        named(&event_loop, "a", async {}).detach();
        named(&event_loop, "b", async {}).detach();
        turn(&event_loop);
        let expected = [
            "new a: 0 ".to_owned(),
            "new b: 0 ".to_owned(),
            format!("enter a: {id} a"),
            format!("exit a: {id} a"),
            format!("close a: {id} "),
            format!("enter b: {id} b"),
            format!("exit b: {id} b"),
            format!("close b: {id} "),
        ];
        assert_eq!(found.take(), expected);
    });
}

thread_local! {
    /// What a hook works on: a subscriber is `Send`, and none of this is.
    static AT_HAND: RefCell<Option<LocalHook>> = const { RefCell::new(None) };
}

/// A subscriber that calls `f`, on this thread, with what it is told.
fn with_hook(trace: &Trace, f: impl Fn(&str) + 'static, body: impl FnOnce()) {
    AT_HAND.set(Some(Rc::new(f)));
    let hook = |event: &str| {
        let at_hand = AT_HAND.with_borrow(Clone::clone);
        if let Some(at_hand) = at_hand {
            at_hand(event);
        }
    };
    with_default(Scribe::new(trace, hook), body);
    AT_HAND.set(None);
}

/// Does `act` to the task as its subscriber is told `at`, for the first time, and gives what ran.
fn acting(at: &'static str, act: impl Fn(&Task<()>) + 'static) -> (Vec<String>, bool) {
    let trace = Trace::new();
    let task: Rc<RefCell<Option<Task<()>>>> = Rc::default();
    let (known, done) = (Rc::clone(&task), std::cell::Cell::new(false));
    let hook = move |event: &str| {
        if event == at && !done.replace(true) {
            if let Some(task) = &*known.borrow() {
                act(task);
            }
        }
    };
    let mut was_cancelled = false;
    with_hook(&trace, hook, || {
        let event_loop = virtual_loop();
        let inner = trace.clone();
        let future = async move {
            inner.note("first step");
            let mut polls = 0;
            poll_fn(|_| {
                polls += 1;
                if polls < 2 { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
            inner.note("second step");
        };
        task.replace(Some(named(&event_loop, "a", future)));
        let after = trace.clone();
        event_loop.create_task(async move { after.note("the other") }).detach();
        while turn(&event_loop) > 0 {}
        let task = task.take().unwrap();
        if task.is_finished() {
            was_cancelled = event_loop.run_until_complete(task).unwrap().is_err();
        }
    });
    let told = trace.take().into_iter();
    let of_others = ["unnamed", "DEBUG"];
    (told.filter(|it| !of_others.iter().any(|other| it.contains(other))).collect(), was_cancelled)
}

#[test]
fn woken_as_its_span_is_entered_or_left_it_is_polled_once_more_and_the_queue_is_whole() {
    for at in ["enter a", "exit a"] {
        let trace = Trace::new();
        let waker: Arc<Mutex<Option<Waker>>> = Arc::default();
        let known = Arc::clone(&waker);
        let hook = move |event: &str| {
            if event == at {
                // Once: it is gone then.
                known.lock().unwrap().take().inspect(Waker::wake_by_ref);
            }
        };
        with_default(Scribe::new(&trace, hook), || {
            let event_loop = virtual_loop();
            let mut polls = 0;
            let known = Arc::clone(&waker);
            let future = poll_fn(move |cx| {
                polls += 1;
                if polls == 1 {
                    cx.waker().wake_by_ref();
                    *known.lock().unwrap() = Some(cx.waker().clone());
                }
                Poll::<()>::Pending
            });
            named(&event_loop, "a", future).detach();
            for number in ["1", "2"] {
                event_loop.call_soon(trace.noting(number));
            }
            while turn(&event_loop) > 0 {}
            let step = ["enter a", "exit a"];
            let mut expected = vec!["new a"];
            expected.extend(step);
            expected.extend(["1", "2"]);
            expected.extend(step);
            if at == "enter a" {
                expected.extend(step);
            }
            trace.assert(&expected);
        });
    }
}

#[test]
fn cancelled_as_its_span_is_entered_it_is_polled_then_dropped_in_its_next_turn() {
    for at in ["enter a", "exit a"] {
        let (told, was_cancelled) = acting(at, |task| _ = task.cancel());
        let expected = [
            "new a",
            "enter a",
            "first step",
            "exit a",
            "the other",
            "enter a",
            "exit a",
            "close a",
        ];
        assert_eq!((told, was_cancelled), (expected.map(str::to_owned).to_vec(), true), "{at}");
    }
}

#[test]
fn aborted_as_it_is_dropped_and_as_its_span_is_closed_it_ends_once() {
    for at in ["enter a", "exit a", "close a"] {
        let (told, _) = acting(at, |task| _ = (task.cancel(), task.abort(), task.cancel()));
        assert_eq!(told.iter().filter(|it| *it == "close a").count(), 1);
    }
}

#[test]
fn closed_as_the_span_is_made_the_task_ends_with_its_loop() {
    let trace = Trace::new();
    let to_close: Rc<RefCell<Option<EventLoop>>> = Rc::default();
    let known = Rc::clone(&to_close);
    let hook = move |event: &str| {
        if event == "new a" {
            let event_loop = known.borrow().clone();
            event_loop.unwrap().close().unwrap();
        }
    };
    with_hook(&trace, hook, || {
        let event_loop = virtual_loop();
        to_close.replace(Some(event_loop.clone()));
        let task = named(&event_loop, "a", async {});
        assert!(event_loop.is_closed() && task.is_finished());
        trace.assert(&["new a", "close a"]); // while there is a handle still
        to_close.replace(None);
    });
    trace.assert(&[]);
}

#[test]
fn turned_as_the_span_is_made_the_task_runs_untold() {
    let trace = Trace::new();
    let to_turn: Rc<RefCell<Option<EventLoop>>> = Rc::default();
    let known = Rc::clone(&to_turn);
    let hook = move |event: &str| {
        if event == "new a" {
            let event_loop = known.borrow().clone();
            turn(&event_loop.unwrap());
        }
    };
    with_hook(&trace, hook, || {
        let event_loop = virtual_loop();
        to_turn.replace(Some(event_loop.clone()));
        let inner = trace.clone();
        let task = named(&event_loop, "a", async move { inner.note("its step") });
        assert!(task.is_finished());
        to_turn.replace(None);
    });
    trace.assert(&["new a", "its step", "close a", "DEBUG event loop closes"]);
}

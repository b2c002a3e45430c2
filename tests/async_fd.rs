//! Descriptors of any kind: awaited through `Async`, and watched by callbacks.

#![cfg(target_os = "linux")]

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures::future::join;
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, poll};
use loopbind::{Async, EventLoop, Watch, run, spawn, timeout, yield_now};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use support::{Bomb, Trace, in_good_child, note_reports, panic_of, turn};

mod support;

/// A pipe, blocking from the start.
fn pipe() -> (File, File) {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    (reader.into(), writer.into())
}

/// A struct may have one of whatever its user brings, and derive what it likes.
#[derive(Debug)]
struct Holder<T> {
    held: Async<T>,
}

#[test]
fn a_struct_has_one_of_any_type() {
    let held = Async::new(pipe().0).unwrap();
    let holder = Holder { held };
    assert!(format!("{holder:?}").starts_with("Holder { held: Async(File"));
    assert!(holder.held.into_inner().is_ok());
}

/// One of what is lent for long will do where one is asked for that is lent for a moment, as with any box.
fn lent_for_a_moment<'a>(long: Async<BorrowedFd<'static>>, _: &'a File) -> Async<BorrowedFd<'a>> {
    long
}

#[test]
fn what_is_lent_for_long_will_do_for_a_moment() {
    let (reader, mut writer) = pipe();
    let reader: &'static File = Box::leak(Box::new(reader));
    writer.write_all(b"x").unwrap();
    let own = lent_for_a_moment(Async::new(reader.as_fd()).unwrap(), &writer);
    run(own.readable()).unwrap().unwrap();
    assert_eq!(own.into_inner().unwrap().as_raw_fd(), reader.as_raw_fd());
}

/// More through a pipe than it holds: each side waits for the other, and the end is told.
#[test]
fn a_pipe_carries_more_than_it_holds() {
    const SIZE: usize = 1 << 20;
    let (reader, writer) = pipe();
    run(async {
        let (mut reader, mut writer) = (Async::new(reader).unwrap(), Async::new(writer).unwrap());
        let writing = async {
            writer.write_all(&vec![3; SIZE]).await.unwrap();
            drop(writer);
        };
        let mut all = Vec::new();
        let (read, ()) = join(reader.read_to_end(&mut all), writing).await;
        assert_eq!(read.unwrap(), SIZE);
        assert!(all.iter().all(|&byte| byte == 3));
    })
    .unwrap();
}

/// A writer that waits, and whose reader goes, is told.
#[test]
fn waiting_to_write_then_the_reader_gone() {
    let (reader, writer) = pipe();
    run(async {
        let writer = Async::new(writer).unwrap();
        let waiting = spawn(async move { (&writer).write_all(&vec![0; 1 << 20]).await });
        yield_now().await;
        drop(reader);
        assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
    })
    .unwrap();
}

/// A terminal, from both sides.
#[test]
fn a_terminal_talks_both_ways() {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let slave = File::options().read(true).write(true).open(path).unwrap();
    run(async {
        let (mut terminal, mut program) =
            (Async::new(File::from(master)).unwrap(), Async::new(slave).unwrap());
        let mut line = [0; 16];
        let (read, ()) = join(program.read(&mut line), async {
            // A terminal gives out whole lines.
            terminal.write_all(b"ls").await.unwrap();
            yield_now().await;
            terminal.write_all(b" -l\n").await.unwrap();
        })
        .await;
        assert_eq!(&line[..read.unwrap()], b"ls -l\n");
        program.write_all(b"total 0").await.unwrap();
        let mut shown = [0; 14];
        terminal.read_exact(&mut shown).await.unwrap();
        // Its echo, and what the program said.
        assert_eq!(&shown, b"ls -l\r\ntotal 0");
    })
    .unwrap();
}

/// A timer of the system's: each expiry once.
#[test]
fn a_timerfd_expires() {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).unwrap();
    let soon = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: soon };
    run(async {
        let timer = Async::new(timer).unwrap();
        for _ in 0..3 {
            timerfd_settime(timer.get_ref(), TimerfdTimerFlags::empty(), &once).unwrap();
            let mut count = [0; 8];
            timer.read_with(|fd| Ok(rustix::io::read(fd, &mut count)?)).await.unwrap();
            assert_eq!(u64::from_ne_bytes(count), 1);
        }
    })
    .unwrap();
}

/// An eventfd: writes add up, and wake whoever waits for the first.
#[test]
fn an_eventfd_counts() {
    let counter = File::from(eventfd(0, EventfdFlags::CLOEXEC).unwrap());
    run(async {
        let counter = Rc::new(Async::new(counter).unwrap());
        let reading = spawn({
            let counter = Rc::clone(&counter);
            async move {
                let mut count = [0; 8];
                (&*counter).read_exact(&mut count).await.unwrap();
                u64::from_ne_bytes(count)
            }
        });
        yield_now().await;
        counter.get_ref().write_all(&2_u64.to_ne_bytes()).unwrap();
        counter.get_ref().write_all(&3_u64.to_ne_bytes()).unwrap();
        assert_eq!(reading.await.unwrap(), 5);
    })
    .unwrap();
}

/// Files that change.
#[test]
fn inotify_names_what_was_made() {
    let folder = std::env::temp_dir().join(format!("loopbind-inotify-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let watcher = inotify::init(inotify::CreateFlags::CLOEXEC).unwrap();
    inotify::add_watch(&watcher, &folder, inotify::WatchFlags::CREATE).unwrap();
    run(async {
        let watcher = Async::new(watcher).unwrap();
        let mut buffer = [0; 512];
        let waiting = watcher.read_with(|fd| Ok(rustix::io::read(fd, &mut buffer)?));
        let (read, ()) = join(waiting, async { fs::write(folder.join("new"), "").unwrap() }).await;
        let text = String::from_utf8_lossy(&buffer[..read.unwrap()]).into_owned();
        assert!(text.contains("new"), "{text:?}");
    })
    .unwrap();
    fs::remove_dir_all(&folder).unwrap();
}

/// `readable` and `writable` ask; they take nothing, and keep no promise for later.
#[test]
fn readiness_is_asked_for_each_time() {
    let (left, right) = UnixStream::pair().unwrap();
    run(async {
        let (left, right) = (Async::new(left).unwrap(), Async::new(right).unwrap());
        left.writable().await.unwrap();
        assert!(poll!(Box::pin(left.readable())).is_pending());
        let mut inner = right.get_ref();
        inner.write_all(b"x").unwrap();
        left.readable().await.unwrap();
        left.readable().await.unwrap();
        assert_eq!(left.get_ref().read(&mut [0; 4]).unwrap(), 1);
        assert!(poll!(Box::pin(left.readable())).is_pending());
        drop(right);
        left.readable().await.unwrap();
    })
    .unwrap();
}

/// IO-08: a wait that is given up leaves another's on the same descriptor alone.
#[test]
fn one_of_two_waits_is_given_up() {
    let (left, mut right) = UnixStream::pair().unwrap();
    run(async {
        let left = Rc::new(Async::new(left).unwrap());
        let wait = || {
            let left = Rc::clone(&left);
            spawn(async move { (&*left).read(&mut [0; 1]).await })
        };
        let (given_up, kept) = (wait(), wait());
        yield_now().await;
        given_up.cancel();
        assert!(given_up.await.is_err());
        right.write_all(b"x").unwrap();
        assert_eq!(kept.await.unwrap().unwrap(), 1);
    })
    .unwrap();
}

/// It moves between the loops of a thread; while a task waits on one, the other is told.
#[test]
fn polled_on_two_loops() {
    let (left, mut right) = UnixStream::pair().unwrap();
    let (one, two) = (EventLoop::new().unwrap(), EventLoop::new().unwrap());
    let left = Rc::new(Async::new(left).unwrap());
    let read = |event_loop: &EventLoop| {
        let left = Rc::clone(&left);
        event_loop.create_task(async move { (&*left).read(&mut [0; 1]).await })
    };
    let waiting = read(&one);
    turn(&one);
    let refused = two.run_until_complete(read(&two)).unwrap().unwrap().unwrap_err();
    let (first, second) = (one.id().get(), two.id().get());
    let text = refused.to_string();
    assert!(text.contains(&format!("event loop {first}:")), "{text}");
    assert!(text.ends_with(&format!("event loop {second}")), "{text}");
    right.write_all(b"x").unwrap();
    assert_eq!(one.run_until_complete(waiting).unwrap().unwrap().unwrap(), 1);
    two.call_soon(move || right.write_all(b"y").unwrap());
    assert_eq!(two.run_until_complete(read(&two)).unwrap().unwrap().unwrap(), 1);
}

/// A waker of another library's says nothing when its owner gives up: it is taken for somebody who
/// waits, until the loop it waited on hears of the descriptor.
#[test]
fn given_up_by_a_stranger_then_heard_of_then_moved() {
    let (left, mut right) = UnixStream::pair().unwrap();
    let (one, two) = (EventLoop::new().unwrap(), EventLoop::new().unwrap());
    let mut left = Async::new(left).unwrap();
    let mut byte = [0; 1];
    one.run_until_complete(async {
        let waker = futures::task::noop_waker();
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(left.read(&mut byte).poll_unpin(&mut cx).is_pending());
    })
    .unwrap();
    two.run_until_complete(left.read(&mut byte)).unwrap().unwrap_err();
    right.write_all(b"x").unwrap();
    turn(&one);
    // There is something: read without waiting. Then there is not: it moves.
    assert_eq!(two.run_until_complete(left.read(&mut byte)).unwrap().unwrap(), 1);
    two.call_soon(move || right.write_all(b"y").unwrap());
    assert_eq!(two.run_until_complete(left.read(&mut byte)).unwrap().unwrap(), 1);
}

/// Outside of runs what need not wait works, and what would have to is an error.
#[test]
fn without_a_loop_it_works_until_it_would_wait() {
    let (left, mut right) = UnixStream::pair().unwrap();
    let mut left = Async::new(left).unwrap();
    right.write_all(b"x").unwrap();
    let mut byte = [0; 1];
    assert_eq!(futures::executor::block_on(left.read(&mut byte)).unwrap(), 1);
    let refused = futures::executor::block_on(left.read(&mut byte)).unwrap_err();
    assert_eq!(refused.to_string(), "no running event loop");
    // And it is itself again afterwards.
    let same = left.into_inner().unwrap();
    right.write_all(b"y").unwrap();
    assert_eq!((&same).read(&mut byte).unwrap(), 1);
}

/// IO-03: called at each iteration while it is so, and not when it is not.
#[test]
fn called_for_as_long_as_it_is_readable() {
    let event_loop = EventLoop::new().unwrap();
    let (reader, mut writer) = pipe();
    let calls = Rc::new(Cell::new(0));
    let counted = Rc::clone(&calls);
    let taker = reader.try_clone().unwrap();
    let watch = event_loop.add_reader(reader, move || counted.set(counted.get() + 1)).unwrap();
    turn(&event_loop);
    assert_eq!(calls.get(), 0);
    writer.write_all(b"xx").unwrap();
    for expected in 1..=3 {
        turn(&event_loop);
        assert_eq!(calls.get(), expected);
    }
    assert_eq!((&taker).read(&mut [0; 8]).unwrap(), 2);
    turn(&event_loop);
    assert_eq!(calls.get(), 3);
    // The end is something to read.
    drop(writer);
    turn(&event_loop);
    assert_eq!(calls.get(), 4);
    drop(watch);
    turn(&event_loop);
    assert_eq!(calls.get(), 4);
}

/// IO-01: the old one is gone at once, and its `Watch` does nothing; the other direction stays.
#[test]
fn replaced_then_the_old_watch_does_nothing() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (left, _right) = UnixStream::pair().unwrap();
    let left = Rc::new(left);
    let noting = |name: &'static str| {
        let (trace, probe) = (trace.clone(), trace.probe(name));
        move || {
            let _ = &probe;
            trace.note(name);
        }
    };
    let writer = event_loop.add_writer(Rc::clone(&left), noting("writer")).unwrap();
    let old = event_loop.add_writer(Rc::clone(&left), noting("old")).unwrap();
    trace.assert(&["writer dropped"]);
    drop(writer);
    let new = event_loop.add_writer(Rc::clone(&left), noting("new")).unwrap();
    trace.assert(&["old dropped"]);
    let reader = event_loop.add_reader(Rc::clone(&left), noting("reader")).unwrap();
    drop(old);
    turn(&event_loop);
    trace.assert(&["new"]);
    drop(reader);
    trace.assert(&["reader dropped"]);
    turn(&event_loop);
    trace.assert(&["new"]);
    drop(new);
    trace.assert(&["new dropped"]);
    turn(&event_loop);
    trace.assert(&[]);
}

/// IO-04: one event for both directions; the reader, which is called first, ends the writer.
#[test]
fn ready_both_ways_then_the_reader_ends_the_writer() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (left, mut right) = UnixStream::pair().unwrap();
    let left = Rc::new(left);
    right.write_all(b"x").unwrap();
    let writer: Rc<RefCell<Option<Watch>>> = Rc::default();
    let (ending, noting) = (Rc::clone(&writer), trace.clone());
    let reader = event_loop.add_reader(Rc::clone(&left), move || {
        noting.note("reader");
        drop(ending.take());
    });
    let noting = trace.clone();
    let watch = event_loop.add_writer(Rc::clone(&left), move || noting.note("writer")).unwrap();
    writer.replace(Some(watch));
    turn(&event_loop);
    trace.assert(&["reader"]);
    turn(&event_loop);
    trace.assert(&["reader"]);
    drop(reader);
}

/// A watch that its own callback ends: the callback is whole until it returns, and gone after.
#[test]
fn ended_inside_its_own_callback() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (reader, mut writer) = pipe();
    writer.write_all(b"x").unwrap();
    let own: Rc<RefCell<Option<Watch>>> = Rc::default();
    let (ending, noting, probe) = (Rc::clone(&own), trace.clone(), trace.probe("callback"));
    let watch = event_loop.add_reader(reader, move || {
        drop(ending.take());
        noting.note("ended");
        let _ = &probe;
    });
    own.replace(Some(watch.unwrap()));
    turn(&event_loop);
    trace.assert(&["ended", "callback dropped"]);
    turn(&event_loop);
    trace.assert(&[]);
    // The descriptor is closed with it.
    assert_eq!(writer.write_all(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
}

/// A watch replaced by its own callback.
#[test]
fn replaced_inside_its_own_callback() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (reader, mut writer) = pipe();
    let reader = Rc::new(reader);
    writer.write_all(b"x").unwrap();
    let (inner, noting, shared) = (event_loop.clone(), trace.clone(), Rc::clone(&reader));
    let place: Rc<RefCell<Option<Watch>>> = Rc::default();
    let (kept, probe) = (Rc::clone(&place), trace.probe("the first's"));
    let first = event_loop.add_reader(reader, move || {
        let _ = &probe;
        let second = noting.clone();
        let watch = inner.add_reader(Rc::clone(&shared), move || second.note("second"));
        kept.replace(Some(watch.unwrap()));
        noting.note("first");
    });
    turn(&event_loop);
    // Gone, though its `Watch` is not.
    trace.assert(&["first", "the first's dropped"]);
    drop(first);
    turn(&event_loop);
    trace.assert(&["second"]);
    place.take();
    turn(&event_loop);
    trace.assert(&[]);
}

/// The old callback's destructor panics as it is replaced: the new one, which nobody got, goes too.
#[test]
fn replaced_and_the_old_ones_destructor_panics() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (_reader, writer) = pipe();
    let (writer, bomb) = (Rc::new(writer), Bomb("old"));
    let old = event_loop.add_writer(Rc::clone(&writer), move || _ = &bomb).unwrap();
    let (noting, probe) = (trace.clone(), trace.probe("new"));
    let new = move || {
        let _ = &probe;
        noting.note("called");
    };
    assert_eq!(panic_of(|| event_loop.add_writer(Rc::clone(&writer), new)), "old");
    trace.assert(&["new dropped"]);
    turn(&event_loop);
    trace.assert(&[]);
    drop(old);
    assert_eq!(Rc::strong_count(&writer), 1);
}

/// A callback that ends its own watch and panics, with something in it whose destructor panics as well:
/// the first panic is told.
#[test]
fn ended_inside_its_own_callback_which_panics_and_so_does_what_it_has() {
    struct Always;
    impl Drop for Always {
        fn drop(&mut self) {
            panic!("the second");
        }
    }
    in_good_child("ended_inside_its_own_callback_which_panics_and_so_does_what_it_has", || {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        note_reports(&event_loop, &trace);
        let (_reader, writer) = pipe();
        let own: Rc<RefCell<Option<Watch>>> = Rc::default();
        let (ending, bomb) = (Rc::clone(&own), Always);
        let watch = event_loop.add_writer(writer, move || {
            let _ = &bomb;
            drop(ending.take());
            panic!("the first");
        });
        own.replace(Some(watch.unwrap()));
        turn(&event_loop);
        let reports = trace.take();
        assert!(reports.len() == 1 && reports[0].ends_with(": the first"), "{reports:?}");
    });
}

/// Which number it has, a descriptor is asked at its own registration only: what it does then is its
/// business, and not that of others' registrations.
#[test]
fn a_descriptor_that_does_things_when_it_is_asked() {
    struct Busy {
        file: File,
        event_loop: EventLoop,
        asked: Rc<Cell<usize>>,
    }
    impl AsFd for Busy {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.asked.set(self.asked.get() + 1);
            let (_reader, writer) = pipe();
            drop(self.event_loop.add_writer(writer, || {}).unwrap());
            self.file.as_fd()
        }
    }
    let event_loop = EventLoop::new().unwrap();
    let asked = Rc::new(Cell::new(0));
    let (reader, _writer) = pipe();
    let busy = Busy { file: reader, event_loop: event_loop.clone(), asked: Rc::clone(&asked) };
    let watch = event_loop.add_reader(busy, || {}).unwrap();
    let before = asked.get();
    let (_reader, writer) = pipe();
    drop(event_loop.add_writer(writer, || {}).unwrap());
    assert_eq!(asked.get(), before);
    drop(watch);
}

/// Whoever owns the descriptor of this number, it is not this.
struct Number(RawFd);

impl AsFd for Number {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the tests see to it that there is one, or try what is said where there is none.
        unsafe { BorrowedFd::borrow_raw(self.0) }
    }
}

/// Closed behind our back, and its number given to another: whoever watches that one gets what comes of
/// it, and what watched the first is gone.
#[test]
fn closed_behind_our_back_and_the_number_watched_again() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (left, _right) = UnixStream::pair().unwrap();
    // High up, where no other test's descriptors come.
    let left = take_number(OwnedFd::from(left).into(), 240);
    let number = left.as_raw_fd();
    let probe = trace.probe("old");
    let old = event_loop.add_reader(Number(number), move || _ = &probe).unwrap();
    drop(left);
    let (left, mut right) = UnixStream::pair().unwrap();
    let left = take_number(OwnedFd::from(left).into(), number);
    assert_eq!(left.as_raw_fd(), number);
    right.write_all(b"x").unwrap();
    let noting = trace.clone();
    let writer = event_loop.add_writer(Number(number), move || noting.note("writer")).unwrap();
    trace.assert(&["old dropped"]);
    let noting = trace.clone();
    let reader = event_loop.add_reader(Number(number), move || noting.note("reader")).unwrap();
    drop(old);
    turn(&event_loop);
    trace.assert(&["reader", "writer"]);
    drop((reader, writer));
    turn(&event_loop);
    trace.assert(&[]);
}

/// Closed behind our back, and its number is another owner's by now: ending the old watch, or half of it,
/// takes nothing from the new one.
#[test]
fn closed_behind_our_back_and_the_old_watch_ends_under_another_owner() {
    for halves in [1, 2] {
        let event_loop = EventLoop::new().unwrap();
        let (left, _right) = UnixStream::pair().unwrap();
        let left = take_number(OwnedFd::from(left).into(), 250);
        let number = left.as_raw_fd();
        let reader = event_loop.add_reader(Number(number), || ()).unwrap();
        let writer = (halves == 2).then(|| event_loop.add_writer(Number(number), || ()).unwrap());
        drop(left);
        let (left, mut right) = UnixStream::pair().unwrap();
        let left = take_number(OwnedFd::from(left).into(), number);
        assert_eq!(left.as_raw_fd(), number);
        let left = Async::new(left).unwrap();
        event_loop
            .run_until_complete(async {
                let mut readable = Box::pin(left.readable());
                assert!(poll!(&mut readable).is_pending());
                drop(reader);
                right.write_all(b"x").unwrap();
                timeout(Duration::from_secs(20), readable).await.unwrap().unwrap();
            })
            .unwrap();
        drop(writer);
    }
}

/// The same the other way around: the old owner goes, and the new watch is told on.
#[test]
fn closed_behind_our_back_and_the_old_owner_goes_under_another_watch() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (left, _right) = UnixStream::pair().unwrap();
    let left = take_number(OwnedFd::from(left).into(), 260);
    let number = left.as_raw_fd();
    let old = Async::new(Number(number)).unwrap();
    event_loop
        .run_until_complete(async { assert!(poll!(Box::pin(old.readable())).is_pending()) })
        .unwrap();
    drop(left);
    let (left, mut right) = UnixStream::pair().unwrap();
    let left = take_number(OwnedFd::from(left).into(), number);
    assert_eq!(left.as_raw_fd(), number);
    let watch = event_loop
        .add_reader(Number(number), {
            let trace = trace.clone();
            move || trace.note("reader")
        })
        .unwrap();
    drop(old);
    right.write_all(b"x").unwrap();
    turn(&event_loop);
    trace.assert(&["reader"]);
    drop((watch, left));
}

/// One registration per descriptor and loop: the second is refused, and told why.
#[test]
fn registered_both_ways_and_told_so() {
    let event_loop = EventLoop::new().unwrap();
    let (left, _right) = UnixStream::pair().unwrap();
    let number = left.as_raw_fd();
    let says = |refused: std::io::Error| {
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
        let expected = format!("descriptor {number} is registered on event loop ");
        assert!(refused.to_string().starts_with(&expected), "{refused}");
    };
    let left = Async::new(left).unwrap();
    let inner = event_loop.clone();
    let ran = event_loop.run_until_complete(async {
        assert!(poll!(Box::pin(left.readable())).is_pending());
        says(inner.add_reader(Number(number), || {}).unwrap_err());
    });
    ran.unwrap();
    let left = left.into_inner().unwrap();
    let watch = event_loop.add_reader(Number(number), || {}).unwrap();
    let left = Async::new(left).unwrap();
    event_loop.run_until_complete(async { says(left.readable().await.unwrap_err()) }).unwrap();
    drop(watch);
}

/// A loop's own descriptor is what its host watches: not the loop itself, and not two loops each other.
#[test]
fn loops_watched_by_themselves_and_in_a_circle_are_told_so() {
    let (inner, host) = (EventLoop::new().unwrap(), EventLoop::new().unwrap());
    let number = inner.as_fd().as_raw_fd();
    let refused = inner.add_reader(Number(number), || {}).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    let expected = format!("descriptor {number} is that of event loop {} itself", inner.id().get());
    assert!(refused.to_string().starts_with(&expected), "{refused}");

    let called = Rc::new(Cell::new(0));
    let counted = Rc::clone(&called);
    let watch = host.add_reader(Number(number), move || counted.set(counted.get() + 1)).unwrap();
    turn(&host);
    let _ = inner.call_soon(|| {});
    turn(&host);
    assert_eq!(called.get(), 1, "there is something to do inside");
    let number = host.as_fd().as_raw_fd();
    let refused = inner.add_reader(Number(number), || {}).unwrap_err().to_string();
    let expected = format!("descriptor {number} cannot be watched on event loop ");
    assert!(refused.starts_with(&expected) && refused.contains("in turn"), "{refused}");
    drop(watch);
    inner.add_reader(Number(number), || {}).unwrap().detach();
}

/// Two loops may watch one descriptor, and one loop two descriptors of one thing: each has its own
/// registration, and the end of one is not that of the others.
#[test]
fn watched_on_two_loops_and_by_a_duplicate_then_each_is_told() {
    let (one, two, trace) = (EventLoop::new().unwrap(), EventLoop::new().unwrap(), Trace::new());
    let (reader, mut writer) = pipe();
    let reader = Rc::new(reader);
    let duplicate = reader.try_clone().unwrap();
    let noting = |name: &'static str| {
        let trace = trace.clone();
        move || trace.note(name)
    };
    let watches = [
        one.add_reader(Rc::clone(&reader), noting("one")).unwrap(),
        two.add_reader(Rc::clone(&reader), noting("two")).unwrap(),
        two.add_reader(duplicate, noting("duplicate")).unwrap(),
    ];
    writer.write_all(b"x").unwrap();
    turn(&one);
    trace.assert(&["one"]);
    turn(&two);
    let mut both = trace.take();
    both.sort();
    assert_eq!(both, ["duplicate", "two"]);
    let [on_one, on_two, duplicate] = watches;
    drop(on_two);
    turn(&two);
    trace.assert(&["duplicate"]);
    drop(duplicate);
    assert_eq!(turn(&two), 0);
    turn(&one);
    trace.assert(&["one"]);
    drop(on_one);
}

/// A directory is no more waited for than a file is.
#[test]
fn a_directory_cannot_be_watched() {
    let event_loop = EventLoop::new().unwrap();
    let folder = File::open("/").unwrap();
    let refused = event_loop.add_writer(folder, || {}).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert!(refused.to_string().contains("directories"), "{refused}");
    let refused = event_loop.run_until_complete(async {
        let folder = Async::new(File::open("/").unwrap()).unwrap();
        folder.read_with(|_| Err::<(), _>(ErrorKind::WouldBlock.into())).await
    });
    let refused = refused.unwrap().unwrap_err();
    assert!(refused.to_string().contains("directories"), "{refused}");
}

/// In one batch, the first callback closes the other's descriptor, and something else gets its number:
/// the event that was on its way reaches neither.
#[test]
fn closed_by_a_neighbour_and_its_number_taken_by_a_newcomer() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let places: [Rc<RefCell<Option<Watch>>>; 2] = Default::default();
    let newcomer: Rc<RefCell<Option<(File, Watch)>>> = Rc::default();
    let mut writers = Vec::new();
    for (at, place) in places.iter().enumerate() {
        let (reader, mut writer) = pipe();
        writer.write_all(b"x").unwrap();
        writers.push(writer);
        let (inner, noting) = (event_loop.clone(), trace.clone());
        let (neighbour, newcomer) = (Rc::clone(&places[1 - at]), Rc::clone(&newcomer));
        let watch = event_loop.add_reader(reader, move || {
            noting.note("one");
            let neighbour = neighbour.take().unwrap();
            let number = neighbour.get_ref().as_raw_fd();
            drop(neighbour);
            let (reader, writer) = pipe();
            let reader = take_number(reader, number);
            let noting = noting.clone();
            let watch = inner.add_reader(reader, move || noting.note("newcomer")).unwrap();
            newcomer.replace(Some((writer, watch)));
        });
        place.replace(Some(watch.unwrap()));
    }
    turn(&event_loop);
    trace.assert(&["one"]);
    // The one that is left calls for its neighbour, which is gone: end it first.
    places.iter().for_each(|place| drop(place.take()));
    turn(&event_loop);
    trace.assert(&[]);
    let (mut writer, watch) = newcomer.take().unwrap();
    writer.write_all(b"x").unwrap();
    turn(&event_loop);
    trace.assert(&["newcomer"]);
    drop(watch);
}

/// `file` under this number, where nobody else has taken it.
fn take_number(file: File, number: i32) -> File {
    // SAFETY: asks for the lowest free number from this one on.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, number) } {
        -1 => file,
        // SAFETY: new, and nobody else's.
        taken => unsafe { std::os::fd::FromRawFd::from_raw_fd(taken) },
    }
}

/// A panic is reported, and the watch goes on.
#[test]
fn a_callback_that_panics_is_called_again() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    note_reports(&event_loop, &trace);
    let (_reader, writer) = pipe();
    let watch = event_loop.add_writer(writer, || panic!("no")).unwrap();
    for _ in 0..2 {
        turn(&event_loop);
        let reports = trace.take();
        assert!(reports.len() == 1 && reports[0].ends_with(": no"), "{reports:?}");
    }
    drop(watch);
}

/// Closing drops the callbacks, here; a watch of a closed loop may be dropped, and none is made.
#[test]
fn closed_then_the_callbacks_dropped() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let ((reader, mut writer), probe) = (pipe(), trace.probe("callback"));
    writer.write_all(b"x").unwrap();
    let watch = event_loop.add_reader(reader, move || {
        let _ = &probe;
        unreachable!("the loop does not run")
    });
    let (detached, _other) = pipe();
    event_loop.add_reader(detached, || {}).unwrap().detach();
    event_loop.close().unwrap();
    trace.assert(&["callback dropped"]);
    drop(watch);
    let refused = event_loop.add_writer(writer, || {}).unwrap_err();
    assert_eq!(refused.to_string(), "Event loop is closed");
}

/// A detached watch goes on.
#[test]
fn detached_it_goes_on() {
    let (event_loop, calls) = (EventLoop::new().unwrap(), Rc::new(Cell::new(0)));
    let (_reader, writer) = pipe();
    let counted = Rc::clone(&calls);
    event_loop.add_writer(writer, move || counted.set(counted.get() + 1)).unwrap().detach();
    turn(&event_loop);
    turn(&event_loop);
    assert_eq!(calls.get(), 2);
}

/// IO-05: regular files are refused by the system, and nothing is left of the attempt; an `Async` of
/// one works, since it never waits.
#[test]
fn a_regular_file_cannot_be_watched() {
    let event_loop = EventLoop::new().unwrap();
    let file = File::open("/proc/self/exe").unwrap();
    let probe = Rc::new(());
    let captured = Rc::clone(&probe);
    let refused = event_loop.add_reader(file, move || drop(captured.clone())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert!(refused.to_string().contains("regular files"), "{refused}");
    assert_eq!(Rc::strong_count(&probe), 1);
    let mut start = [0; 4];
    event_loop
        .run_until_complete(async {
            let mut file = Async::new(File::open("/proc/self/exe").unwrap()).unwrap();
            file.read_exact(&mut start).await
        })
        .unwrap()
        .unwrap();
    assert_eq!(&start, b"\x7fELF");
}

/// IO-05: a number that is no descriptor.
#[test]
fn a_closed_descriptor_is_refused() {
    #[derive(Debug)]
    struct Closed;
    impl std::os::fd::AsFd for Closed {
        fn as_fd(&self) -> BorrowedFd<'_> {
            // SAFETY: not a descriptor, which is what is tried here: the system says so.
            unsafe { BorrowedFd::borrow_raw(i32::MAX - 1) }
        }
    }
    let event_loop = EventLoop::new().unwrap();
    let refused = event_loop.add_reader(Closed, || {}).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EBADF));
    assert_eq!(Async::new(Closed).unwrap_err().raw_os_error(), Some(libc::EBADF));
}

/// Registered, waiting, and dropped: nothing is woken, and the number's next owner is its own.
#[test]
fn dropped_while_somebody_waits_then_the_number_is_used_again() {
    run(async {
        let mut right = None;
        for _ in 0..50 {
            let (left, other) = UnixStream::pair().unwrap();
            right = Some(other);
            let left = Async::new(left).unwrap();
            assert!(poll!(Box::pin(left.readable())).is_pending());
        }
        drop(right);
        let (left, mut right) = UnixStream::pair().unwrap();
        let mut left = Async::new(left).unwrap();
        let mut byte = [0; 1];
        assert!(matches!(poll!(left.read(&mut byte)), Poll::Pending));
        right.write_all(b"x").unwrap();
        assert_eq!(left.read(&mut byte).await.unwrap(), 1);
    })
    .unwrap();
}

/// A descriptor that is ready all the time starves nobody.
#[test]
fn a_busy_descriptor_leaves_turns_to_others() {
    let event_loop = EventLoop::new().unwrap();
    let (_reader, writer) = pipe();
    let _busy = event_loop.add_writer(writer, || {}).unwrap();
    event_loop
        .run_until_complete(async {
            loopbind::sleep(Duration::from_millis(1)).await;
            yield_now().await;
        })
        .unwrap();
}

/// What is inside comes out as it went in, and off the loop.
#[test]
fn into_inner_gives_it_back() {
    let (left, mut right) = UnixStream::pair().unwrap();
    let number = left.as_raw_fd();
    let event_loop = EventLoop::new().unwrap();
    let left = event_loop
        .run_until_complete(async {
            let left = Async::new(left).unwrap();
            assert!(poll!(Box::pin(left.readable())).is_pending());
            left.into_inner().unwrap()
        })
        .unwrap();
    assert_eq!(left.as_raw_fd(), number);
    assert_eq!((&left).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    right.write_all(b"x").unwrap();
    assert_eq!(turn(&event_loop), 0);
    let owned: OwnedFd = left.into();
    let watch = event_loop.add_reader(owned, || {}).unwrap();
    assert_eq!(turn(&event_loop), 1, "it can be registered again");
    drop(watch);
}

//! A driven loop whose host sees edges only: nothing that is still ready is forgotten, and what is done
//! to the loop from outside of its turns is heard.

use std::cell::{Cell, RefCell};
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::AsyncReadExt as _;
use futures::executor::LocalPool;
use futures::task::LocalSpawnExt as _;
use loopbind::{Async, EventLoop, LoopError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

mod support;

#[cfg(feature = "tokio")]
fn under_tokio(event_loop: &EventLoop) -> Result<(), LoopError> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(event_loop.drive_with(loopbind::tokio::Host::new()))
}

fn under_anybody(event_loop: &EventLoop) -> Result<(), LoopError> {
    futures::executor::block_on(event_loop.drive())
}

/// IO-03: a watch is called for as long as its descriptor is ready, however the host sees it.
fn a_watch_that_takes_a_byte_at_a_time(drive: fn(&EventLoop) -> Result<(), LoopError>) {
    let event_loop = EventLoop::new().unwrap();
    let (reader, mut writer) = UnixStream::pair().unwrap();
    writer.write_all(&[7; 20]).unwrap();
    let mut source = reader.try_clone().unwrap();
    let calls = Rc::new(Cell::new(0));
    let (count, stop) = (Rc::clone(&calls), event_loop.clone());
    let watch = event_loop.add_reader(reader, move || {
        source.read_exact(&mut [0]).unwrap();
        count.set(count.get() + 1);
        if count.get() == 20 {
            stop.stop();
        }
    });
    drive(&event_loop).unwrap();
    assert_eq!(calls.get(), 20);
    drop(watch);
}

#[test]
fn a_level_is_not_an_edge_under_any_executor() {
    a_watch_that_takes_a_byte_at_a_time(under_anybody);
}

#[cfg(feature = "tokio")]
#[test]
fn a_level_is_not_an_edge_under_tokio() {
    a_watch_that_takes_a_byte_at_a_time(under_tokio);
}

/// More descriptors become ready at once than one look has room for.
fn more_than_a_look_has_room_for(drive: fn(&EventLoop) -> Result<(), LoopError>) {
    let event_loop = EventLoop::new().unwrap();
    let mut writers = Vec::new();
    let served = Rc::new(Cell::new(0));
    for _ in 0..600 {
        let (reader, writer) = UnixStream::pair().unwrap();
        writers.push(writer);
        let (count, stop) = (Rc::clone(&served), event_loop.clone());
        event_loop
            .create_task(async move {
                Async::new(reader).unwrap().read_exact(&mut [0]).await.unwrap();
                count.set(count.get() + 1);
                if count.get() == 600 {
                    stop.stop();
                }
            })
            .detach();
    }
    // Behind the first poll of each: all of them wait by then.
    event_loop.call_soon(move || {
        for mut writer in writers {
            writer.write_all(b"x").unwrap();
        }
    });
    drive(&event_loop).unwrap();
    assert_eq!(served.get(), 600);
}

#[test]
fn all_are_served_under_any_executor() {
    more_than_a_look_has_room_for(under_anybody);
}

#[cfg(feature = "tokio")]
#[test]
fn all_are_served_under_tokio() {
    more_than_a_look_has_room_for(under_tokio);
}

/// What another task of the host does to a loop that sleeps under `drive`.
fn done_by_another_task(what: impl FnOnce(&EventLoop) + 'static) -> Result<(), LoopError> {
    let event_loop = EventLoop::new().unwrap();
    let mut pool = LocalPool::new();
    let ended = Rc::new(RefCell::new(None));
    let (slot, drive) = (Rc::clone(&ended), event_loop.drive());
    pool.spawner().spawn_local(async move { drop(slot.replace(Some(drive.await))) }).unwrap();
    pool.run_until_stalled();
    assert!(ended.borrow().is_none(), "it sleeps");
    pool.spawner().spawn_local(async move { what(&event_loop) }).unwrap();
    // Ends when the drive does: nothing else is left in the pool.
    pool.run();
    ended.take().expect("the drive has ended")
}

#[test]
fn stopped_by_another_task_of_the_host_it_ends() {
    done_by_another_task(EventLoop::stop).unwrap();
}

#[test]
fn closed_by_another_task_of_the_host_it_says_so() {
    let ended = done_by_another_task(|event_loop| event_loop.close().unwrap());
    assert!(matches!(ended, Err(LoopError::Closed)));
}

/// A host with `poll(2)`: a stop and a close between two turns make the descriptor readable, and a stop is
/// a reason to turn at once.
#[test]
fn stopped_or_closed_between_turns_the_descriptor_is_readable() {
    let readable = |event_loop: &EventLoop| {
        let mut fds = [PollFd::from_borrowed_fd(event_loop.as_fd(), PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    };
    let event_loop = EventLoop::new().unwrap();
    let _lent = event_loop.as_fd();
    event_loop.turn(Some(Duration::ZERO)).unwrap();
    assert!(!readable(&event_loop));
    event_loop.stop();
    assert!(readable(&event_loop));
    assert!(event_loop.next_deadline().is_some_and(|at| at <= Instant::now()));
    event_loop.turn(Some(Duration::ZERO)).unwrap();
    assert!(!readable(&event_loop));
    assert_eq!(event_loop.next_deadline(), None);
    event_loop.close().unwrap();
    assert!(readable(&event_loop));
}

/// A virtual clock jumps when nothing else can happen, as in a run, and not while a job is under way.
fn a_virtual_clock(drive: fn(&EventLoop) -> Result<(), LoopError>) {
    let event_loop = EventLoop::builder().virtual_time(true).build().unwrap();
    let (trace, inner) = (Rc::new(RefCell::new(Vec::new())), event_loop.clone());
    let noting = Rc::clone(&trace);
    let (began, real) = (event_loop.time(), Instant::now());
    let task = event_loop.create_task(async move {
        let note = |what: &'static str| noting.borrow_mut().push((what, inner.time() - began));
        for _ in 0..20 {
            loopbind::sleep(Duration::from_secs(180)).await;
        }
        note("an hour");
        let timer = inner.call_later(Duration::from_secs(1), || panic!("during the job"));
        let job = loopbind::spawn_blocking(|| std::thread::sleep(Duration::from_millis(20)));
        job.await.unwrap();
        timer.cancel();
        note("the job");
        loopbind::sleep(Duration::from_secs(3600)).await;
        note("two hours");
        inner.stop();
    });
    drive(&event_loop).unwrap();
    let hour = Duration::from_secs(3600);
    assert_eq!(*trace.borrow(), [("an hour", hour), ("the job", hour), ("two hours", 2 * hour)]);
    assert!(real.elapsed() < Duration::from_secs(60));
    assert!(task.is_finished());
}

#[test]
fn a_virtual_clock_jumps_under_any_executor() {
    let test = "a_virtual_clock_jumps_under_any_executor";
    support::in_good_child(test, || a_virtual_clock(under_anybody));
}

#[cfg(feature = "tokio")]
#[test]
fn a_virtual_clock_jumps_under_tokio() {
    support::in_good_child("a_virtual_clock_jumps_under_tokio", || a_virtual_clock(under_tokio));
}

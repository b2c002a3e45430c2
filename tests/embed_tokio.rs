//! A loop as a guest of tokio's, on the same thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use loopbind::tokio::Host;
use loopbind::{EventLoop, LoopError, get_running_loop, spawn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn tokio_s_timers_and_sockets_are_awaited_in_our_tasks() {
    let event_loop = EventLoop::new().unwrap();
    let trace = Rc::new(RefCell::new(Vec::new()));
    let (log, guest) = (Rc::clone(&trace), event_loop.clone());
    event_loop
        .create_task(async move {
            assert_eq!(get_running_loop().unwrap(), guest);
            tokio::time::sleep(Duration::from_millis(2)).await;
            log.borrow_mut().push("tokio's timer".to_owned());
            loopbind::sleep(Duration::from_millis(2)).await;
            log.borrow_mut().push("our timer".to_owned());
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(b"tokio's socket").await.unwrap();
            });
            let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
            let mut text = String::new();
            client.read_to_string(&mut text).await.unwrap();
            server.await.unwrap();
            log.borrow_mut().push(text);
            guest.stop();
        })
        .detach();
    tokio_runtime().block_on(event_loop.drive_with(Host::new())).unwrap();
    assert_eq!(*trace.borrow(), ["tokio's timer", "our timer", "tokio's socket"]);
}

/// Wake-ups go both ways: a tokio task feeds ours, ours feeds tokio's, and another thread both.
#[test]
fn the_host_s_tasks_and_the_guest_s_wake_each_other() {
    let runtime = tokio_runtime();
    let event_loop = EventLoop::new().unwrap();
    let (to_guest, mut from_host) = tokio::sync::mpsc::unbounded_channel::<u32>();
    let (to_host, mut from_guest) = tokio::sync::mpsc::unbounded_channel::<u32>();
    event_loop
        .create_task(async move {
            while let Some(number) = from_host.recv().await {
                to_host.send(number + 1).unwrap();
            }
        })
        .detach();
    let local = tokio::task::LocalSet::new();
    let guest = event_loop.clone();
    let host = runtime.block_on(local.run_until(async move {
        let drive = tokio::task::spawn_local(guest.drive_with(Host::new()));
        let mut number = 0;
        for _ in 0..100 {
            to_guest.send(number).unwrap();
            number = from_guest.recv().await.unwrap();
        }
        // From another thread, while both sleep.
        let handle = guest.handle();
        let seven = tokio::task::spawn_blocking(move || {
            handle.spawn(|| async { 7 }).unwrap().join().unwrap()
        });
        assert_eq!(seven.await.unwrap(), 7);
        // What the host schedules between two turns.
        let stop = guest.clone();
        guest.call_soon(move || stop.stop());
        drive.await.unwrap().unwrap();
        number
    }));
    assert_eq!(host, 100);
}

/// A turn inside another loop's run is refused like a run, also when a foreign executor asks for it.
#[test]
fn a_drive_polled_inside_a_run_is_refused() {
    let (outer, inner) = (EventLoop::new().unwrap(), EventLoop::new().unwrap());
    let refused = outer.run_until_complete(inner.drive()).unwrap().unwrap_err();
    assert!(matches!(refused, LoopError::AnotherLoopRunning { running } if running == outer.id()));
}

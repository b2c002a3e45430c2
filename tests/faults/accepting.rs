//! Connections that cannot be accepted: for a while, for ever, by one listener of several.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use loopbind::__private::faults::{Call, FaultPlan};
use loopbind::net::{TcpListener, TcpStream, UnixStream, start_server, start_unix_server};
use loopbind::{Builder, EventLoop, get_running_loop, sleep, spawn};

use crate::books::assert_is;
use crate::errno::{ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EPROTO};
use crate::support::in_good_child;

const RESOURCES: [i32; 4] = [EMFILE, ENFILE, ENOBUFS, ENOMEM];

/// How often a call that finds one broken connection after another is made, before it says so.
const PORTION: u64 = 65;

fn reports(event_loop: &EventLoop) -> Rc<RefCell<Vec<(String, i32)>>> {
    let reports = Rc::new(RefCell::new(Vec::new()));
    let note = Rc::clone(&reports);
    event_loop.set_exception_handler(Some(Box::new(move |_, context| {
        let errno = context.error.as_ref().and_then(io::Error::raw_os_error).unwrap();
        note.borrow_mut().push((context.message.clone(), errno));
    })));
    reports
}

fn virtual_loop() -> EventLoop {
    Builder::default().virtual_time(true).build().unwrap()
}

/// For ever: one call, and one report, in each second, and nothing in between; then everybody is served.
#[test]
fn refused_for_ever_then_one_report_in_each_second_then_served() {
    in_good_child("accepting::refused_for_ever_then_one_report_in_each_second_then_served", || {
        for errno in RESOURCES.into_iter().chain([ECONNABORTED, EPROTO, EPERM]) {
            let event_loop = virtual_loop();
            let reports = reports(&event_loop);
            let tries = if matches!(errno, ECONNABORTED | EPROTO) { PORTION } else { 1 };
            let serve = async {
                let server = start_server("127.0.0.1:0", |mut stream, _| async move {
                    let _ = stream.write_all(b"served").await;
                });
                let server = server.await.unwrap();
                let to = server.local_addrs()[0];
                let faults = FaultPlan::new().always(Call::Accept, errno).install();
                let mut client = TcpStream::connect(to).await.unwrap();
                sleep(Duration::from_millis(100)).await;
                let turns = get_running_loop().unwrap().metrics().turns;
                sleep(Duration::from_millis(4500)).await;
                let turns = get_running_loop().unwrap().metrics().turns - turns;
                assert!(turns < 40, "{turns} iterations in four seconds");
                assert_eq!(reports.borrow().len(), 5, "errno {errno}");
                assert_eq!(faults.count(Call::Accept), 5 * tries, "errno {errno}");
                drop(faults);
                let mut words = String::new();
                client.read_to_string(&mut words).await.unwrap();
                assert_eq!(words, "served");
                server.shut_down(Duration::from_secs(1)).await;
            };
            event_loop.run_until_complete(serve).unwrap();
            let what = match RESOURCES.contains(&errno) {
                true => "socket.accept() out of system resource",
                false => "socket.accept() failed",
            };
            assert!(reports.borrow().iter().all(|report| *report == (what.into(), errno)));
        }
    });
}

/// Broken connections before a whole one are no trouble of anybody's.
#[test]
fn broken_connections_then_a_whole_one_and_nobody_is_told() {
    in_good_child("accepting::broken_connections_then_a_whole_one_and_nobody_is_told", || {
        for errno in [ECONNABORTED, EPROTO] {
            let event_loop = virtual_loop();
            let reports = reports(&event_loop);
            let accept = async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let to = listener.local_addr().unwrap();
                let faults = FaultPlan::new().span(Call::Accept, 1, 60, errno).install();
                let _client = TcpStream::connect(to).await.unwrap();
                let begun = loopbind::time::now();
                listener.accept().await.unwrap();
                assert_eq!((faults.used(), loopbind::time::now()), (60, begun));
            };
            event_loop.run_until_complete(accept).unwrap();
            assert!(reports.borrow().is_empty());
        }
    });
}

/// `accept` and `incoming`: the error, once, and the next call waits out a second; a second listener, also
/// a Unix one, does not.
#[test]
fn one_listener_rests_and_the_others_do_not() {
    in_good_child("accepting::one_listener_rests_and_the_others_do_not", || {
        for errno in RESOURCES {
            let work = async {
                let (one, two) = (
                    TcpListener::bind("127.0.0.1:0").await.unwrap(),
                    TcpListener::bind("127.0.0.1:0").await.unwrap(),
                );
                let begun = loopbind::time::now();
                let _clients = [
                    TcpStream::connect(one.local_addr().unwrap()).await.unwrap(),
                    TcpStream::connect(two.local_addr().unwrap()).await.unwrap(),
                ];
                let _faults = FaultPlan::new().nth(Call::Accept, 1, errno).install();
                assert_is(&one.accept().await.unwrap_err(), errno);
                two.accept().await.unwrap();
                assert_eq!(loopbind::time::now(), begun);
                one.accept().await.unwrap();
                assert_eq!(loopbind::time::now() - begun, Duration::from_secs(1));
                let _client = TcpStream::connect(one.local_addr().unwrap()).await.unwrap();
                let _faults = FaultPlan::new().span(Call::Accept, 1, 2, errno).install();
                let (mut incoming, begun) = (one.incoming(), loopbind::time::now());
                for _ in 0..2 {
                    assert_is(&incoming.next().await.unwrap().unwrap_err(), errno);
                }
                incoming.next().await.unwrap().unwrap();
                assert_eq!(loopbind::time::now() - begun, Duration::from_secs(2));
            };
            virtual_loop().run_until_complete(work).unwrap();
        }
    });
}

/// A Unix server whose socket file cannot be looked at, or that cannot listen, leaves no file.
#[test]
fn a_unix_server_that_cannot_start_leaves_no_file() {
    in_good_child("accepting::a_unix_server_that_cannot_start_leaves_no_file", || {
        let path = std::env::temp_dir().join(format!("loopbind-fault-{}", std::process::id()));
        let work = async {
            for (call, errno) in [
                (Call::Socket, EMFILE),
                (Call::Bind, EPERM),
                (Call::Listen, crate::errno::EADDRINUSE),
                (Call::Stat, ENOMEM),
            ] {
                let _faults = FaultPlan::new().nth(call, 1, errno).install();
                let refused = start_unix_server(&path, |_| async {}).unwrap_err();
                assert_eq!(refused.kind(), io::Error::from_raw_os_error(errno).kind());
                assert!(!path.exists(), "{call:?}");
                let server = start_unix_server(&path, |mut stream| async move {
                    let _ = stream.write_all(b"served").await;
                });
                let server = server.unwrap();
                let client = spawn({
                    let path = path.clone();
                    async move {
                        let mut words = String::new();
                        UnixStream::connect(&path).await?.read_to_string(&mut words).await?;
                        Ok::<_, io::Error>(words)
                    }
                });
                assert_eq!(client.await.unwrap().unwrap(), "served");
                drop(server);
                assert!(!path.exists());
            }
        };
        EventLoop::new().unwrap().run_until_complete(work).unwrap();
    });
}

//! Servers: who is served, how many at once, and how each of the ends comes about.

#![cfg(feature = "macros")]

#[path = "support/sockets.rs"]
mod sockets;
mod support;

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use futures::channel::oneshot;
use futures::{AsyncReadExt, AsyncWriteExt};
use loopbind::net::{
    Server, TcpListener, TcpStream, UnixListener, UnixStream, start_server, start_unix_server,
};
use loopbind::{EventLoop, LoopError, get_running_loop, loop_test, sleep, spawn, yield_now};
use sockets::{ANY, assert_waits};
use support::{Bomb, Trace, note_reports};

/// Counts its wakes.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sends back what it reads, to the end.
async fn echo(mut stream: TcpStream, _: SocketAddr) {
    let mut buffer = [0; 256];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.local_addrs()).await.unwrap()
}

/// Waits until the server has this many connections.
async fn connections(server: &Server, count: usize) {
    while server.connections() != count {
        yield_now().await;
    }
}

async fn exchange(stream: &mut TcpStream, word: &[u8]) -> io::Result<()> {
    stream.write_all(word).await?;
    let mut answer = vec![0; word.len()];
    stream.read_exact(&mut answer).await?;
    assert_eq!(answer, word);
    Ok(())
}

/// Who gives up waiting for the end leaves nothing behind.
#[loop_test(timeout = "30s")]
async fn waited_for_the_end_and_given_up() -> io::Result<()> {
    let server = start_server(ANY, echo).await?;
    let wakers: Vec<_> = (0..100).map(|_| Arc::new(Counter::default())).collect();
    for waker in &wakers {
        let context = Waker::from(Arc::clone(waker));
        let mut waiting = pin!(server.wait_closed());
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&context)).is_pending());
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&context)).is_pending());
    }
    assert!(wakers.iter().all(|waker| Arc::strong_count(waker) == 1));
    server.close();
    server.wait_closed().await;
    assert!(wakers.iter().all(|waker| waker.0.load(Ordering::Relaxed) == 0));
    Ok(())
}

/// A waker that panics at the server's end takes nothing from those behind it.
#[test]
fn a_waker_panics_at_the_end() -> io::Result<()> {
    struct Thrower;
    impl Wake for Thrower {
        fn wake(self: Arc<Self>) {
            panic!("a waker throws");
        }
    }
    let (event_loop, trace) = (EventLoop::new()?, Trace::new());
    note_reports(&event_loop, &trace);
    event_loop.run_until_complete(async {
        let server = start_server(ANY, echo).await?;
        let (thrower, other) = (Waker::from(Arc::new(Thrower)), Arc::new(Counter::default()));
        let counter = Waker::from(Arc::clone(&other));
        let (mut first, mut second) = (pin!(server.wait_closed()), pin!(server.wait_closed()));
        assert!(first.as_mut().poll(&mut Context::from_waker(&thrower)).is_pending());
        assert!(second.as_mut().poll(&mut Context::from_waker(&counter)).is_pending());
        server.close();
        assert_eq!(other.0.load(Ordering::Relaxed), 1);
        Ok::<_, io::Error>(())
    })??;
    assert!(trace.take()[0].contains("exception in a waker"));
    Ok(())
}

/// SRV-01: it listens from the start, and is refused from the moment of its close, or its drop.
#[loop_test(timeout = "30s")]
async fn served_then_closed_then_refused() -> io::Result<()> {
    for dropped in [false, true] {
        // An address nobody else here uses: once it is free, it stays so.
        let server = start_server("127.0.0.4:0", echo).await?;
        assert!(server.is_serving());
        let to = server.local_addrs()[0];
        let mut client = connect(&server).await;
        exchange(&mut client, b"before").await?;
        assert_eq!(server.connections(), 1);
        let server = if dropped {
            drop(server);
            None
        } else {
            server.close();
            server.close();
            assert!(!server.is_serving());
            Some(server)
        };
        // Not even a turn later: the socket is gone.
        let refused = std::net::TcpStream::connect(to).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "dropped: {dropped}");
        exchange(&mut client, b"after").await?;
        drop(client);
        if let Some(server) = server {
            server.wait_closed().await;
        }
        // The connection's task and the listener's end by themselves.
        while get_running_loop().unwrap().all_tasks().len() > 1 {
            yield_now().await;
        }
    }
    Ok(())
}

/// SRV-02.
#[loop_test(timeout = "30s")]
async fn serving_for_ever_ends_by_a_close_and_closes_when_dropped() -> io::Result<()> {
    let server = Rc::new(start_server(ANY, echo).await?);
    let shown = format!("<Server sockets=[{}]>", server.local_addrs()[0]);
    let serving = Rc::clone(&server);
    let serving = spawn(async move { serving.serve_forever().await });
    yield_now().await;
    let error = server.serve_forever().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("server {shown} is already being awaited on serve_forever()")
    );
    let mut client = connect(&server).await;
    exchange(&mut client, b"hello").await?;
    server.close();
    yield_now().await;
    assert!(!serving.is_finished(), "a connection is left");
    drop(client);
    serving.await.unwrap()?;
    let error = server.serve_forever().await.unwrap_err();
    assert_eq!(error.to_string(), format!("server {shown} is closed"));

    let server = start_server(ANY, echo).await?;
    drop(server.serve_forever());
    assert!(server.is_serving(), "it was not awaited");
    assert_waits(&mut pin!(server.serve_forever())).await;
    assert!(!server.is_serving(), "it was awaited, and given up");
    Ok(())
}

/// SRV-03: closed and no connection left, whichever comes last.
#[loop_test(timeout = "30s")]
async fn waited_for_the_close_and_for_the_last_connection_in_both_orders() -> io::Result<()> {
    let trace = Trace::new();
    for close_first in [true, false] {
        let server = Rc::new(start_server(ANY, echo).await?);
        let mut clients = (connect(&server).await, connect(&server).await);
        connections(&server, 2).await;
        exchange(&mut clients.0, b"x").await?;
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let (server, note) = (Rc::clone(&server), trace.noting("closed"));
                spawn(async move {
                    server.wait_closed().await;
                    note();
                })
            })
            .collect();
        yield_now().await;
        if close_first {
            server.close();
            trace.note("close");
        }
        drop(clients.0);
        connections(&server, 1).await;
        yield_now().await;
        trace.note("one left");
        drop(clients.1);
        connections(&server, 0).await;
        trace.note("none left");
        if !close_first {
            yield_now().await;
            server.close();
            trace.note("close");
        }
        for task in waiting {
            task.await.unwrap();
        }
        server.wait_closed().await;
        match close_first {
            true => trace.assert(&["close", "one left", "none left", "closed", "closed"]),
            false => trace.assert(&["one left", "none left", "close", "closed", "closed"]),
        }
    }
    Ok(())
}

/// SRV-04, gracefully: handlers read the end, say what they still have to say, and end.
#[loop_test(timeout = "30s")]
async fn clients_closed_and_the_last_words_arrive() -> io::Result<()> {
    let server = start_server(ANY, |mut stream: TcpStream, _| async move {
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        heard.extend_from_slice(b", goodbye");
        stream.write_all(&heard).await.unwrap();
    })
    .await?;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = connect(&server).await;
        client.write_all(b"hello").await?;
        clients.push(client);
    }
    connections(&server, 3).await;
    server.close_clients();
    assert!(server.is_serving(), "clients alone");
    for mut client in clients {
        let mut words = String::new();
        client.read_to_string(&mut words).await?;
        assert!(words == "hello, goodbye" || words == ", goodbye", "{words}");
    }
    connections(&server, 0).await;
    assert_eq!(server.shut_down(Duration::from_secs(20)).await, 0);
    Ok(())
}

/// SRV-04, at once: handlers are dropped, in order of their connections.
#[loop_test(timeout = "30s")]
async fn clients_aborted_and_their_handlers_dropped_in_order() -> io::Result<()> {
    let trace = Trace::new();
    let (note, number) = (trace.clone(), Cell::new(0));
    let server = start_server(ANY, move |stream, _| {
        number.set(number.get() + 1);
        let probe = note.probe(format!("handler {}", number.get()));
        async move {
            pending::<()>().await;
            drop((stream, probe));
        }
    })
    .await?;
    let mut clients = Vec::new();
    for count in 1..=3 {
        clients.push(connect(&server).await);
        connections(&server, count).await;
    }
    // One more, whose handler was not called yet: it never is.
    clients.push(connect(&server).await);
    connections(&server, 4).await;
    server.abort_clients();
    trace.assert(&[]);
    connections(&server, 0).await;
    let dropped = trace.take();
    assert_eq!(dropped[..3], ["handler 1 dropped", "handler 2 dropped", "handler 3 dropped"]);
    for mut client in clients {
        assert_eq!(client.read(&mut [0; 8]).await?, 0);
    }
    // A server that is aborted serves on.
    let mut client = connect(&server).await;
    connections(&server, 1).await;
    let left = server.shut_down(Duration::from_millis(1)).await;
    assert_eq!((left, server.connections()), (1, 0));
    assert_eq!(client.read(&mut [0; 8]).await?, 0);
    Ok(())
}

/// What a handler shared its connection with loses it, too.
#[loop_test(timeout = "30s")]
async fn a_connection_aborted_under_somebody_else() -> io::Result<()> {
    let kept = Rc::new(RefCell::new(None));
    let keep = Rc::clone(&kept);
    let server = start_server(ANY, move |stream: TcpStream, _| {
        keep.replace(Some(stream.clone()));
        pending()
    })
    .await?;
    let mut client = connect(&server).await;
    while kept.borrow().is_none() {
        yield_now().await;
    }
    let mut kept = kept.take().unwrap();
    server.abort_clients();
    assert_eq!(client.read(&mut [0; 8]).await?, 0);
    assert_eq!(kept.read(&mut [0; 8]).await?, 0);
    assert_eq!(server.shut_down(Duration::from_secs(20)).await, 0);
    Ok(())
}

/// SRV-05: a panic, wherever it is, is reported and ends its own connection.
#[loop_test(timeout = "30s")]
async fn a_handler_panics_and_the_others_go_on() -> io::Result<()> {
    let trace = Trace::new();
    note_reports(&get_running_loop().unwrap(), &trace);
    let calls = Cell::new(0);
    let server = start_server(ANY, move |mut stream: TcpStream, peer| {
        calls.set(calls.get() + 1);
        let call = calls.get();
        assert_ne!(call, 2, "called");
        async move {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            assert_ne!(call, 3, "polled");
            let _bomb = (call == 4).then(|| Bomb("dropped"));
            if call != 4 {
                stream.write_all(&byte).await.unwrap();
                echo(stream, peer).await;
            }
        }
    })
    .await?;
    let mut first = connect(&server).await;
    exchange(&mut first, b"1").await?;
    for (what, report) in [
        ("called", "assertion `left != right` failed: called\n  left: 2\n right: 2"),
        ("polled", "assertion `left != right` failed: polled\n  left: 3\n right: 3"),
        ("dropped", "dropped"),
    ] {
        let mut client = connect(&server).await;
        client.write_all(b"x").await?;
        // Whether it is an end or a reset depends on what was read.
        let closed = client.read(&mut [0; 8]).await;
        assert!(matches!(closed, Ok(0) | Err(_)), "{what}: {closed:?}");
        connections(&server, 1).await;
        trace.assert(&[&format!("Unhandled exception in client_connected_cb: {report}")]);
        exchange(&mut first, b"still").await?;
    }
    let mut last = connect(&server).await;
    exchange(&mut last, b"5").await?;
    server.shut_down(Duration::from_secs(20)).await;
    Ok(())
}

/// A handler that panics as it is dropped is reported, and its connection is over all the same.
#[loop_test(timeout = "30s")]
async fn a_destructor_panics_while_its_connection_is_aborted() -> io::Result<()> {
    let trace = Trace::new();
    note_reports(&get_running_loop().unwrap(), &trace);
    let server = start_server(ANY, |mut stream: TcpStream, _| async move {
        let _bomb = Bomb("bang");
        stream.write_all(b"x").await.unwrap();
        pending().await
    })
    .await?;
    let mut client = connect(&server).await;
    client.read_exact(&mut [0]).await?;
    assert_eq!(server.shut_down(Duration::ZERO).await, 1);
    assert_eq!(client.read(&mut [0; 8]).await?, 0);
    yield_now().await;
    let reports = trace.take();
    assert!(reports.len() == 1 && reports[0].ends_with(": bang"), "{reports:?}");
    Ok(())
}

/// Where panics that nobody awaits leave the run, so does a handler's; the server serves in the next.
#[test]
fn a_handler_panics_and_the_panic_leaves_the_run() {
    let event_loop = loopbind::EventLoop::builder()
        .on_unhandled_panic(loopbind::UnhandledPanic::Resume)
        .build()
        .unwrap();
    let calls = Rc::new(Cell::new(0));
    let count = Rc::clone(&calls);
    let server = event_loop.run_until_complete(start_server(ANY, move |stream, peer| {
        count.set(count.get() + 1);
        assert_ne!(count.get(), 1, "the first");
        echo(stream, peer)
    }));
    let server = server.unwrap().unwrap();
    let text = support::panic_of(|| {
        event_loop.run_until_complete(async {
            let _client = connect(&server).await;
            pending::<()>().await;
        })
    });
    assert!(text.contains("the first"), "{text}");
    event_loop
        .run_until_complete(async {
            exchange(&mut connect(&server).await, b"x").await.unwrap();
            server.shut_down(Duration::from_secs(20)).await;
        })
        .unwrap();
    assert_eq!(calls.get(), 2);
}

/// A report of a handler's panic names the task, and the line that started the server.
#[loop_test(timeout = "30s")]
async fn a_report_names_the_task_of_the_connection() -> io::Result<()> {
    let seen = Rc::new(RefCell::new(None));
    let note = Rc::clone(&seen);
    get_running_loop().unwrap().set_exception_handler(Some(Box::new(move |_, context| {
        note.replace(Some(context.task.as_ref().unwrap().spawned_at));
    })));
    let (server, line) = (start_server(ANY, |_, _| async { panic!("x") }), line!());
    let server = server.await?;
    let _client = connect(&server).await;
    while seen.borrow().is_none() {
        yield_now().await;
    }
    let place = seen.borrow().unwrap();
    assert_eq!((place.file(), place.line()), (file!(), line), "where the server was started");
    Ok(())
}

/// No more at once than the bound: who comes later is served when somebody goes.
#[loop_test(timeout = "30s")]
async fn as_many_as_may_be_then_one_goes_then_the_next_is_served() -> io::Result<()> {
    let trace = Trace::new();
    let note = trace.clone();
    let most = Rc::new(Cell::new((0, 0)));
    let count = Rc::clone(&most);
    let server = Server::builder()
        .max_connections(2)
        .backlog(16)
        .start(ANY, move |stream: TcpStream, peer| {
            let (note, count) = (note.clone(), Rc::clone(&count));
            async move {
                let (now, highest) = count.get();
                count.set((now + 1, highest.max(now + 1)));
                note.note(format!("{} enters", peer.port()));
                echo(stream, peer).await;
                note.note(format!("{} leaves", peer.port()));
                count.set((count.get().0 - 1, count.get().1));
            }
        })
        .await?;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(connect(&server).await);
    }
    let ports: Vec<_> = clients.iter().map(|client| client.local_addr().unwrap().port()).collect();
    exchange(&mut clients[0], b"0").await?;
    exchange(&mut clients[1], b"1").await?;
    for round in 0..3 {
        let waiting = round + 2;
        clients[waiting].write_all(b"w").await?;
        assert_waits(&mut clients[waiting].read(&mut [0; 8])).await;
        assert_eq!(server.connections(), 2);
        clients[round].close().await?;
        assert_eq!(clients[waiting].read(&mut [0; 8]).await?, 1);
    }
    server.close();
    drop(clients);
    server.wait_closed().await;
    assert_eq!(most.get(), (0, 2));
    let events = trace.take();
    let entered: Vec<_> = events.iter().filter_map(|event| event.strip_suffix(" enters")).collect();
    assert_eq!(entered, ports.iter().map(u16::to_string).collect::<Vec<_>>());
    assert_eq!(events.len(), 10);
    Ok(())
}

/// A server with more to accept than it takes at once lets others have their turns, and one that waits
/// for room can be closed.
#[loop_test(timeout = "60s")]
async fn closed_while_full_and_while_many_wait() -> io::Result<()> {
    let server = Server::builder().max_connections(1).start(ANY, echo).await?;
    let to = server.local_addrs()[0];
    let clients: io::Result<Vec<_>> = (0..100).map(|_| std::net::TcpStream::connect(to)).collect();
    let clients = clients?;
    connections(&server, 1).await;
    assert_eq!(server.shut_down(Duration::from_secs(20)).await, 0);
    // Who was not accepted is told by the system.
    for mut client in clients {
        client.set_read_timeout(Some(Duration::from_secs(20)))?;
        assert!(matches!(client.read(&mut [0; 8]), Ok(0) | Err(_)));
    }
    Ok(())
}

/// A handler has the connection for itself: it may make it std's, or give it away.
#[loop_test(timeout = "30s")]
async fn a_handler_gives_its_stream_away() -> io::Result<()> {
    let (sender, given) = oneshot::channel();
    let sender = RefCell::new(Some(sender));
    let server = start_server(ANY, move |stream: TcpStream, _| {
        let sender = sender.borrow_mut().take().unwrap();
        async move { drop(sender.send(stream.into_std())) }
    })
    .await?;
    let mut client = connect(&server).await;
    let mut given = given.await.unwrap()?;
    connections(&server, 0).await;
    given.write_all(b"mine")?;
    let mut word = [0; 4];
    client.read_exact(&mut word).await?;
    assert_eq!(&word, b"mine");
    Ok(())
}

/// All addresses, or none: where one cannot be had, nothing listens.
#[loop_test(timeout = "30s")]
async fn listens_on_all_addresses_or_on_none() -> io::Result<()> {
    let any: SocketAddr = ANY.parse().unwrap();
    // Nobody else here uses this one.
    let two: SocketAddr = "127.0.0.2:0".parse().unwrap();
    let server = start_server([any, two, any], echo).await?;
    assert_eq!(server.local_addrs().len(), 2, "the same address twice is one");
    for address in server.local_addrs() {
        exchange(&mut TcpStream::connect(address).await?, b"x").await?;
    }
    let taken = TcpListener::bind(ANY).await?.into_std()?;
    let free = server.local_addrs()[1];
    assert_eq!(server.shut_down(Duration::from_secs(20)).await, 0);
    let error = start_server([free, taken.local_addr()?], echo).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert_eq!(
        std::net::TcpStream::connect(free).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    let none: [SocketAddr; 0] = [];
    assert_eq!(start_server(none, echo).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let server = Server::builder().start_on([TcpListener::from_std(taken)?], echo)?;
    exchange(&mut connect(&server).await, b"x").await?;
    assert_eq!(server.shut_down(Duration::from_secs(20)).await, 0);
    Ok(())
}

/// One port for both families: each has its own socket.
#[loop_test(timeout = "30s")]
async fn listens_on_one_port_for_both_families() -> io::Result<()> {
    if TcpListener::bind("[::1]:0").await.is_err() {
        eprintln!("no IPv6 here");
        return Ok(());
    }
    for _ in 0..20 {
        let free = std::net::TcpListener::bind("[::]:0")?.local_addr()?.port();
        let any = |host: &str| SocketAddr::new(host.parse().unwrap(), free);
        match start_server([any("::"), any("0.0.0.0")], echo).await {
            Ok(server) => {
                for address in [any("::1"), any("127.0.0.1")] {
                    exchange(&mut TcpStream::connect(address).await?, b"x").await?;
                }
                server.shut_down(Duration::from_secs(20)).await;
                return Ok(());
            }
            // Somebody was faster.
            Err(error) => assert_eq!(error.kind(), ErrorKind::AddrInUse),
        }
    }
    panic!("no port was free for both");
}

/// Servers are started where their tasks run: outside of runs it is an error, and nothing listens.
#[test]
fn started_outside_of_a_run_it_is_an_error() {
    let error = futures::executor::block_on(start_server(ANY, echo)).unwrap_err();
    assert_eq!(error.to_string(), LoopError::NoRunningLoop.to_string());
}

/// A closing loop drops handlers and listeners, and a server that lives on has nothing left.
#[test]
fn the_loop_is_closed_while_a_server_serves() {
    let trace = Trace::new();
    let event_loop = loopbind::EventLoop::new().unwrap();
    let note = trace.clone();
    let (server, client) = event_loop
        .run_until_complete(async {
            let server = start_server(ANY, move |stream, _| {
                let probe = note.probe("handler");
                async move {
                    pending::<()>().await;
                    drop((stream, probe));
                }
            })
            .await
            .unwrap();
            let client = connect(&server).await;
            connections(&server, 1).await;
            yield_now().await;
            (server, client)
        })
        .unwrap();
    event_loop.close().unwrap();
    trace.assert(&["handler dropped"]);
    assert_eq!(server.connections(), 0);
    let mut client = client.into_std().unwrap();
    client.set_nonblocking(false).unwrap();
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    drop(server);
}

/// SRV-08: the file goes with the server, unless it is another one by then.
#[loop_test(timeout = "30s")]
async fn a_unix_servers_file_is_removed_unless_it_was_replaced() -> io::Result<()> {
    let folder = std::env::temp_dir();
    let path = folder.join(format!("loopbind-net-server-{}", std::process::id()));
    let hello = |mut stream: UnixStream| async move {
        let _ = stream.write_all(b"hello").await;
    };
    for replaced in [false, true] {
        let server = start_unix_server(&path, hello)?;
        assert!(server.local_addrs().is_empty());
        let mut words = String::new();
        UnixStream::connect(&path).await?.read_to_string(&mut words).await?;
        assert_eq!(words, "hello");
        let error = start_unix_server(&path, hello).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        let other = if replaced {
            // Beside it first, so that it cannot get the number of the one that goes.
            let beside = path.with_extension("new");
            let other = UnixListener::bind(&beside)?;
            std::fs::rename(&beside, &path)?;
            Some(other)
        } else {
            None
        };
        server.close();
        assert_eq!(path.exists(), replaced);
        server.wait_closed().await;
        drop(other);
    }
    std::fs::remove_file(&path)
}

/// A handler that sleeps and one that computes are each their own task: neither holds the other up.
#[loop_test(timeout = "30s")]
async fn each_connection_is_a_task_of_its_own() -> io::Result<()> {
    let server = start_server(ANY, |mut stream: TcpStream, _| async move {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        if byte[0] == b's' {
            sleep(Duration::from_secs(3600)).await;
        }
        stream.write_all(&byte).await.unwrap();
    })
    .await?;
    let (mut sleeper, mut other) = (connect(&server).await, connect(&server).await);
    sleeper.write_all(b"s").await?;
    exchange(&mut other, b"x").await?;
    connections(&server, 1).await;
    assert_eq!(get_running_loop().unwrap().all_tasks().len(), 3, "main, listener, sleeper");
    server.abort_clients();
    server.close();
    server.wait_closed().await;
    Ok(())
}

//! The servers. All but one are a loop on each processor that they may run on, with a listener of its own at the one
//! address; the one is tokio's runtime of several threads, with one listener.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::thread;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use loopbind::hyper::{HyperIo, LoopTimer};
use peers::machine;
use peers::sockets::{
    Compio, Glommio, Loopbind, MonoioEpoll, MonoioUring, Runtime, Tokio, over_tokio,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::hello::{Hello, hello};

pub struct Server {
    pub name: &'static str,
    /// Does not return.
    pub serve: fn(SocketAddr),
}

pub fn all() -> Vec<Server> {
    let mut servers = vec![
        Server { name: "loopbind", serve: ours },
        Server { name: "tokio, a runtime per core", serve: per_core::<Tokio> },
        Server { name: "tokio, multi-threaded", serve: tokio_by_hand },
        Server { name: "monoio, epoll", serve: per_core::<MonoioEpoll> },
    ];
    if monoio::utils::detect_uring() {
        servers.push(Server { name: "monoio, io_uring", serve: per_core::<MonoioUring> });
    }
    servers.extend([
        Server { name: "compio", serve: per_core::<Compio> },
        Server { name: "glommio", serve: per_core::<Glommio> },
        Server { name: "loopbind + hyper", serve: our_hyper },
        Server { name: "tokio, a runtime per core + hyper", serve: tokio_hyper_per_core },
        Server { name: "tokio, multi-threaded + hyper", serve: tokio_hyper },
    ]);
    servers
}

/// A listener that shares its port, with what waits in its queue.
pub fn listen(address: SocketAddr) -> TcpListener {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None);
    let socket: OwnedFd = socket.expect("a socket");
    sockopt::set_socket_reuseport(&socket, true).expect("an option");
    rustix::net::bind(&socket, &address).expect("a port");
    rustix::net::listen(&socket, 1024).expect("a listener");
    socket.into()
}

/// Ours, by hand.
fn ours(address: SocketAddr) {
    let group = loopbind::thread::per_core(move |_| accept::<Loopbind<0>>(address));
    group.expect("a loop per core").join();
}

fn per_core<R: Runtime>(address: SocketAddr) {
    on_each_processor(move || R::block_on(accept::<R>(address)));
}

async fn accept<R: Runtime>(address: SocketAddr) {
    let listener = R::listener(listen(address));
    loop {
        let stream = R::accept(&listener).await;
        R::spawn(R::discuss(stream, Hello::default()));
    }
}

/// Threads, one for each processor and pinned there.
fn on_each_processor(body: impl Fn() + Clone + Send + 'static) {
    let start = |processor| {
        let body = body.clone();
        thread::spawn(move || {
            machine::pin(processor);
            body();
        })
    };
    let threads: Vec<_> = machine::processors().into_iter().map(start).collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no trouble"));
}

/// Ours, by hyper.
fn our_hyper(address: SocketAddr) {
    let group = loopbind::thread::per_core(move |_| async move {
        let listener = listen(address);
        let listener = loopbind::net::TcpListener::from_std(listener).expect("a listener");
        let server = loopbind::net::Server::builder().start_on([listener], |stream, _| async {
            let mut http = http1::Builder::new();
            http.timer(LoopTimer);
            // A client that breaks off is no trouble of ours.
            let _ = http.serve_connection(HyperIo(stream), service_fn(hello)).await;
        });
        server.expect("a server").serve_forever().await
    });
    group.expect("a loop per core").join();
}

async fn by_hyper(stream: tokio::net::TcpStream) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    // As above.
    let _ = http.serve_connection(TokioIo::new(stream), service_fn(hello)).await;
}

fn tokio_hyper_per_core(address: SocketAddr) {
    on_each_processor(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build_local(Default::default());
        runtime.expect("a local runtime").block_on(async {
            let listener = tokio::net::TcpListener::from_std(listen(address)).expect("a listener");
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::task::spawn_local(by_hyper(stream));
            }
        });
    });
}

/// On as many threads as there are processors, none of them pinned, and one accepts.
fn on_many_threads<Fut>(address: SocketAddr, attend: fn(tokio::net::TcpStream) -> Fut)
where
    Fut: Future<Output = ()> + Send + 'static,
{
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(machine::processors().len()).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let accepting = runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listen(address)).expect("a listener");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(attend(stream));
        }
    });
    runtime.block_on(accepting).expect("no trouble");
}

fn tokio_by_hand(address: SocketAddr) {
    on_many_threads(address, |stream| over_tokio(stream, Hello::default()));
}

fn tokio_hyper(address: SocketAddr) {
    on_many_threads(address, by_hyper);
}

//! HTTP on every core: a loop on each, pinned there, with a listener of its own at the one address. The system deals out
//! the connections, by their addresses; a request never leaves the core that has its connection, and its handler holds
//! an `Rc`. SIGTERM or Ctrl-C lets every loop answer what it was asked, for ten seconds at most; a second one cuts off
//! what is not over.
//!
//! ```sh
//! cargo run --release --bin per_core                 # or with an address: -- 0.0.0.0:8080 --grace 30
//! curl http://127.0.0.1:8080/you
//! curl http://127.0.0.1:8080/metrics                 # of all loops, whichever is asked
//! wrk -t 1 -c 64 http://127.0.0.1:8080/you
//! kill -TERM "$(pidof per_core)"
//! taskset -c 0 cargo run --release --bin per_core    # the cores that it may run on are those it has loops on
//! ```

use std::any::Any;
use std::cell::Cell;
use std::fmt::{Display, Write};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::channel::{mpsc, oneshot};
use futures::future::{Either, FutureExt, Shared, join_all, select};
use futures::stream::{self, Stream, StreamExt};
use hyper::body::{Body, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use loopbind::hyper::{HyperIo, LoopTimer};
use loopbind::net::{Server, TcpSocket, TcpStream};
use loopbind::signal::{SignalKind, signal};
use loopbind::sync::Event;
use loopbind::thread::ThreadBuilder;
use loopbind::{LoopError, LoopHandle, Metrics, get_running_loop, task, timeout};

/// How long a client may take to say what it wants, or to want nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a loop may take to say how it is.
const PULSE: Duration = Duration::from_secs(1);

/// What one loop counts, and all may read at any time. One loop writes, so that to add is to load and to store: there is
/// no lock, and no instruction that locks a line of the cache. And the line is that loop's own (two of them, since
/// processors fetch lines in pairs): counters side by side, or one for all, would travel from core to core with
/// every request.
#[derive(Default)]
#[repr(align(128))]
struct Counts {
    connections: AtomicU64,
    requests: AtomicU64,
    /// Connections that came to a bad end: broken off, or not understood.
    broken: AtomicU64,
}

/// By the loop whose counter it is, and by nobody else.
fn add_one(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// A loop, as the others see it.
struct Peer {
    event_loop: LoopHandle,
    counts: Arc<Counts>,
}

/// What the main loop hears of the others.
enum News {
    Listening(usize, Peer),
    Over,
}

/// Tells of the end of a loop's body, whatever it was that ended it.
struct Obituary(mpsc::UnboundedSender<News>);

impl Drop for Obituary {
    fn drop(&mut self) {
        // Nobody listens: the main loop is over, too.
        let _ = self.0.unbounded_send(News::Over);
    }
}

/// What each loop starts with.
struct Post {
    place: usize,
    address: SocketAddr,
    grace: Duration,
    news: Obituary,
    /// All loops, once all of them listen.
    peers: Shared<oneshot::Receiver<Arc<[Peer]>>>,
}

/// What a loop did.
#[derive(Debug, Default, PartialEq)]
struct Served {
    requests: u64,
    cut_off: usize,
}

/// One loop's own, without an atomic.
struct Shard {
    name: String,
    answered: Cell<u64>,
    counts: Arc<Counts>,
    peers: Arc<[Peer]>,
    ending: Event,
}

impl Shard {
    async fn answer(&self, request: Request<Incoming>) -> hyper::Result<Response<String>> {
        add_one(&self.counts.requests);
        let path = request.uri().path().to_owned();
        let text = match *request.method() {
            Method::GET if path == "/metrics" => metrics(&self.peers).await,
            Method::GET => {
                let number = self.answered.get() + 1;
                format!("Hello, {}! Number {number} of {}.\n", path.trim_matches('/'), self.name)
            }
            _ => {
                let (mut body, mut bytes) = (request.into_body(), 0);
                while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                    bytes += frame?.data_ref().map_or(0, |data| data.len());
                }
                format!("{bytes} bytes, thank you.\n")
            }
        };
        self.answered.set(self.answered.get() + 1);
        let response = Response::builder().header(CONTENT_TYPE, "text/plain; charset=utf-8");
        Ok(response.body(text).expect("a header that is one"))
    }

    /// Until the client ends it, or, behind an answer, this loop.
    async fn attend(&self, stream: TcpStream) -> hyper::Result<()> {
        add_one(&self.counts.connections);
        let service = service_fn(|request| self.answer(request));
        let mut http = http1::Builder::new();
        http.timer(LoopTimer).header_read_timeout(PATIENCE);
        let mut connection = pin!(http.serve_connection(HyperIo(stream), service));
        match select(connection.as_mut(), pin!(self.ending.wait())).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => {
                // At once where nothing is asked, and else behind the answer.
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    }
}

/// What all loops have to say, as Prometheus reads it. The counts are read where they are; what belongs to a loop it is
/// asked for, all of them at once: the closure goes there, and runs between two of its steps.
async fn metrics(peers: &[Peer]) -> String {
    let asked = peers.iter().map(|peer| {
        let task = peer.event_loop.spawn(|| async { get_running_loop().map(|it| it.metrics()) });
        async {
            // Over by now, or it does not come to answer: neither is a reason to say nothing of the others.
            timeout(PULSE, task.ok()?).await.ok()?.ok()?.ok()
        }
    });
    let loops: Vec<Option<Metrics>> = join_all(asked).await;
    let mut text = String::new();
    let mut family = |name: &str, figure: &dyn Fn(&Peer, Option<&Metrics>) -> Option<f64>| {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        writeln!(text, "# TYPE {name} {kind}").expect("a string takes all");
        for (peer, metrics) in peers.iter().zip(&loops) {
            if let Some(figure) = figure(peer, metrics.as_ref()) {
                let of = peer.event_loop.name().unwrap_or("unnamed");
                writeln!(text, "{name}{{loop=\"{of}\"}} {figure}").expect("a string takes all");
            }
        }
    };
    let count = |counter: &AtomicU64| Some(counter.load(Ordering::Relaxed) as f64);
    family("http_connections_total", &|peer, _| count(&peer.counts.connections));
    family("http_requests_total", &|peer, _| count(&peer.counts.requests));
    family("http_broken_total", &|peer, _| count(&peer.counts.broken));
    family("loop_up", &|_, it| Some(f64::from(u8::from(it.is_some()))));
    family("loop_tasks", &|_, it| Some(it?.tasks_alive as f64));
    family("loop_turns_total", &|_, it| Some(it?.turns as f64));
    family("loop_polls_total", &|_, it| Some(it?.polls as f64));
    family("loop_io_events_total", &|_, it| Some(it?.io_events as f64));
    family("loop_timers_fired_total", &|_, it| Some(it?.timers_fired as f64));
    family("loop_remote_wakes_total", &|_, it| Some(it?.remote_wakes as f64));
    family("loop_parked_seconds_total", &|_, it| Some(it?.parked.as_secs_f64()));
    text
}

/// A socket at `address`, which other loops have too.
fn share(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // One that was here before may have connections that are not quite gone.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// What each core's loop runs, until it is told to end: then nobody new is accepted, and what was asked is answered.
async fn serve(post: Post) -> io::Result<Served> {
    // From here on, so that it is heard whenever it comes.
    let mut told = pin!(task::cancelled());
    let listener = share(post.address)?.listen(1024)?;
    let (event_loop, counts) = (get_running_loop()?.handle(), Arc::<Counts>::default());
    let name = event_loop.name().unwrap_or_default().to_owned();
    let peer = Peer { event_loop, counts: Arc::clone(&counts) };
    let _ = post.news.0.unbounded_send(News::Listening(post.place, peer));
    // Who connects meanwhile waits in the system's queue: nobody is served by a program that does not come to be.
    let Either::Left((Ok(peers), _)) = select(post.peers, told.as_mut()).await else {
        return Ok(Served::default());
    };

    let answered = Cell::new(0);
    let shard = Rc::new(Shard { name, answered, counts, peers, ending: Event::new() });
    let ours = Rc::clone(&shard);
    let server = Server::builder().start_on([listener], move |stream, _peer| {
        let shard = Rc::clone(&ours);
        async move {
            if shard.attend(stream).await.is_err() {
                add_one(&shard.counts.broken);
            }
        }
    })?;
    told.await;

    server.close();
    shard.ending.set();
    let over = timeout(post.grace, server.wait_closed());
    // Told a second time just as it is over, it has to have heard it, for its value to count.
    let cut_off = match select(pin!(task::cancelled()), pin!(over)).await {
        Either::Right((Ok(()), _)) => 0,
        _ => {
            let left = server.connections();
            server.abort_clients();
            server.wait_closed().await;
            left
        }
    };
    Ok(Served { requests: shard.answered.get(), cut_off })
}

/// All loops, by their places, when all of them listen; none where one of them does not come to that.
async fn all_listening(
    news: &mut mpsc::UnboundedReceiver<News>,
    loops: usize,
) -> Option<Arc<[Peer]>> {
    let mut peers: Vec<Option<Peer>> = (0..loops).map(|_| None).collect();
    while peers.iter().any(Option::is_none) {
        match news.next().await? {
            News::Listening(place, peer) => peers[place] = Some(peer),
            News::Over => return None,
        }
    }
    peers.into_iter().collect()
}

/// SIGTERM and Ctrl-C, which do not end the process from here on.
fn signals() -> io::Result<impl Stream<Item = ()> + Unpin> {
    let kinds = [SignalKind::terminate(), SignalKind::interrupt()];
    let signals: io::Result<Vec<_>> = kinds.into_iter().map(signal).collect();
    Ok(stream::select_all(signals?).chain(stream::pending()))
}

/// Starts the loops, and ends them: when it is asked to, and when one of them ended that nobody had asked. Whatever it
/// was, the others answer what they were asked, and all that went wrong is told.
async fn supervise<F, Fut>(
    address: SocketAddr,
    grace: Duration,
    mut asked: impl Stream<Item = ()> + Unpin,
    body: F,
) -> Result<Served, Vec<String>>
where
    F: Fn(Post) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = io::Result<Served>> + 'static,
{
    let said = |error: &dyn Display| vec![error.to_string()];
    // Bound and never listened on: it finds out whether the address can be had, and which port zero is.
    let place = share(address).and_then(|place| Ok((place.local_addr()?, place)));
    let (address, _place) = place.map_err(|error| said(&error))?;
    let (teller, mut news) = mpsc::unbounded();
    let (go, peers) = oneshot::channel();
    let peers = peers.shared();
    let group = ThreadBuilder::new().name("http").per_core(move |place| {
        let (news, peers) = (Obituary(teller.clone()), peers.clone());
        body(Post { place, address, grace, news, peers })
    });
    let group = group.map_err(|error| said(&error))?;
    let loops = group.handles().len();

    let all = match select(pin!(all_listening(&mut news, loops)), asked.next()).await {
        Either::Left((all, _)) => all,
        Either::Right(_) => None,
    };
    if let Some(peers) = all {
        // Who is over does not hear it, and has said that.
        let _ = go.send(peers);
        println!("http://{address}; on {loops} loops, until SIGTERM or Ctrl-C");
        select(asked.next(), news.next()).await;
    }
    group.stop();
    let mut hurried = false;
    loop {
        match select(news.next(), asked.next()).await {
            Either::Left((Some(_), _)) => {}
            Either::Left((None, _)) => break, // nobody is left who could say anything
            // Once: who is told a third time, and has stopped listening, is dropped where it stands.
            Either::Right(_) if hurried => {}
            Either::Right(_) => {
                hurried = true;
                group.stop();
            }
        }
    }

    let (mut all, mut failures) = (Served::default(), Vec::new());
    for (place, outcome) in group.join().into_iter().enumerate() {
        match outcome {
            Ok(Ok(served)) => {
                all.requests += served.requests;
                all.cut_off += served.cut_off;
            }
            Ok(Err(error)) => failures.push(format!("loop {place}: {error}")),
            Err(payload) => failures.push(format!("loop {place} panicked: {}", text_of(&*payload))),
        }
    }
    if failures.is_empty() { Ok(all) } else { Err(failures) }
}

/// What a panic was given.
fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    // Or what the library says of a body that was dropped.
    let text = text.or_else(|| payload.downcast_ref::<LoopError>().map(LoopError::to_string));
    text.unwrap_or_else(|| "not in words".to_owned())
}

/// What the command says: an address, and how long the end may take, in seconds.
fn command(arguments: &[String]) -> Option<(SocketAddr, Duration)> {
    let (mut address, mut grace) = ("127.0.0.1:8080".parse().ok()?, PATIENCE);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--grace" => {
                let seconds = arguments.next()?.parse().ok()?;
                grace = Duration::try_from_secs_f64(seconds).ok()?;
            }
            _ => address = argument.parse().ok()?,
        }
    }
    Some((address, grace))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((address, grace)) = command(&arguments) else {
        eprintln!("usage: per_core [address, as 127.0.0.1:8080] [--grace seconds]");
        return ExitCode::FAILURE;
    };
    let outcome = signals().and_then(|mut asked| {
        let outcome = loopbind::run(supervise(address, grace, &mut asked, serve));
        // For as long as there is a process: where nobody listens any more, one more signal would end it, as a failure.
        std::mem::forget(asked);
        Ok(outcome?)
    });
    match outcome.unwrap_or_else(|error| Err(vec![error.to_string()])) {
        Ok(Served { requests, cut_off }) => {
            println!("answered {requests} requests; {cut_off} connections were cut off");
            ExitCode::SUCCESS
        }
        Err(failures) => {
            failures.iter().for_each(|failure| eprintln!("per_core: {failure}"));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One loop's body panics once all of them serve: the others end as if they had been asked to, and it is told.
    #[loopbind::loop_test(timeout = "60s")]
    async fn a_loop_panics_then_the_others_end_and_it_is_told() {
        let address = "127.0.0.1:0".parse().unwrap();
        let body = async |post: Post| {
            if post.place > 0 {
                return serve(post).await;
            }
            let peer = Peer { event_loop: get_running_loop()?.handle(), counts: Arc::default() };
            post.news.0.unbounded_send(News::Listening(0, peer)).unwrap();
            post.peers.await.unwrap();
            panic!("out of cheese");
        };
        let failures = supervise(address, PATIENCE, stream::pending(), body).await.unwrap_err();
        assert_eq!(failures, ["loop 0 panicked: out of cheese"]);
    }

    /// One loop does not come to listen: nobody serves.
    #[loopbind::loop_test(timeout = "60s")]
    async fn a_loop_cannot_listen_then_nobody_serves_and_it_is_told() {
        let address = "127.0.0.1:0".parse().unwrap();
        let body = async |post: Post| match post.place {
            0 => Err(io::Error::other("no more of these")),
            _ => serve(post).await,
        };
        let failures = supervise(address, PATIENCE, stream::pending(), body).await.unwrap_err();
        assert_eq!(failures, ["loop 0: no more of these"]);
    }
}

//! reqwest in tasks of ours that hold an `Rc`, asking hyper in other tasks of ours, on one thread: the client's sockets and
//! timers are tokio's, the server's are the loop's.
//!
//! ```sh
//! cargo run --bin fetch
//! ```

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use futures::stream;
use guests::threads;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use loopbind::hyper::HyperIo;
use loopbind::net::start_server;
use loopbind::{loop_main, sleep, spawn, timeout};
use reqwest::Client;

const CLIENTS: u64 = 100;
const CHUNKS: usize = 256;
const CHUNK: usize = 16 * 1024;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Handlers share a counter without a lock.
async fn answer(
    request: Request<Incoming>,
    visits: Rc<Cell<u64>>,
) -> hyper::Result<Response<Body>> {
    let body = match request.uri().path() {
        "/echo" => Full::new(request.into_body().collect().await?.to_bytes()).boxed_unsync(),
        "/never" => {
            sleep(Duration::from_secs(3600)).await;
            Full::default().boxed_unsync()
        }
        "/stream" => {
            let chunk = Bytes::from_static(&[b'x'; CHUNK]);
            let chunks = (0..CHUNKS).map(move |_| Ok(Frame::data(chunk.clone())));
            StreamBody::new(stream::iter(chunks)).boxed_unsync()
        }
        path => Full::from(format!("you asked for {path}")).boxed_unsync(),
    };
    visits.set(visits.get() + 1);
    Ok(Response::new(body))
}

#[loop_main(host = "tokio")]
async fn main() -> Result<(), Box<dyn Error>> {
    let visits = Rc::new(Cell::new(0));
    let ours = Rc::clone(&visits);
    let server = start_server("127.0.0.1:0", move |stream, _| {
        let visits = Rc::clone(&ours);
        let service = service_fn(move |request| answer(request, Rc::clone(&visits)));
        async move {
            // A client that leaves is no error of ours.
            _ = http1::Builder::new().serve_connection(HyperIo(stream), service).await;
        }
    })
    .await?;
    let site = format!("http://{}", server.local_addrs()[0]);
    let client = Client::builder().no_proxy().build()?;

    // A crowd, each of which says something and hears it again.
    let heard = Rc::new(Cell::new(0));
    let clients = (0..CLIENTS).map(|number| {
        let (client, heard, url) = (client.clone(), Rc::clone(&heard), format!("{site}/echo"));
        spawn(async move {
            let text = format!("number {number}");
            let answer = client.post(url).body(text.clone()).send().await?.text().await?;
            assert_eq!(answer, text);
            heard.set(heard.get() + number);
            reqwest::Result::Ok(())
        })
    });
    for task in clients.collect::<Vec<_>>() {
        task.await??;
    }
    assert_eq!(heard.get(), (0..CLIENTS).sum());

    // Four megabytes, as they come.
    let mut answer = client.get(format!("{site}/stream")).send().await?;
    let mut length = 0;
    while let Some(chunk) = answer.chunk().await? {
        length += chunk.len();
    }
    assert_eq!(length, CHUNKS * CHUNK);

    // The client's time-out, which is tokio's; ours; and a task that is cancelled in the middle of a request.
    let never = format!("{site}/never");
    let limited = client.get(&never).timeout(Duration::from_millis(20)).send().await;
    assert!(limited.unwrap_err().is_timeout());
    assert!(timeout(Duration::from_millis(20), client.get(&never).send()).await.is_err());
    let asking = spawn(client.get(&never).send());
    sleep(Duration::from_millis(20)).await;
    asking.cancel();
    assert!(asking.await.unwrap_err().is_cancelled());

    // And it goes on.
    let answer = client.get(format!("{site}/again")).send().await?.text().await?;
    assert_eq!(answer, "you asked for /again");
    assert_eq!(visits.get(), CLIENTS + 2, "three went away unanswered");
    assert_eq!(threads(), 1);
    println!("{} answers, {length} bytes streamed, one thread", visits.get());
    Ok(())
}

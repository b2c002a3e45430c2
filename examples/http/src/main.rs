//! Serves the site until Ctrl-C, which lets it end what it has begun.
//!
//! ```sh
//! cargo run --bin web                        # or with an address: -- 0.0.0.0:8080
//! curl http://127.0.0.1:8080/hello/you
//! cargo run --bin web -- 127.0.0.1:8443 --tls
//! curl --insecure https://127.0.0.1:8443/guest
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::rc::Rc;

use futures_rustls::TlsAcceptor;
use loopbind::net::{TcpStream, start_server};
use loopbind::{loop_main, task, timeout};
use site::secure::{Identity, protocol};
use site::{PATIENCE, Protocol, Site};

async fn welcome(
    site: Rc<Site>,
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
) -> Result<(), Box<dyn Error>> {
    let Some(acceptor) = acceptor else {
        return site.serve(stream, Protocol::Http1).await;
    };
    let stream = timeout(PATIENCE, acceptor.accept(stream)).await??;
    let agreed = protocol(stream.get_ref().1.alpn_protocol());
    site.serve(stream, agreed).await
}

#[loop_main(ctrl_c = "cancel")]
async fn serve(address: String, acceptor: Option<TlsAcceptor>) -> std::io::Result<()> {
    let (site, scheme) = (Site::open(), if acceptor.is_some() { "https" } else { "http" });
    let ours = Rc::clone(&site);
    let server = start_server(address, move |stream, peer| {
        let welcomed = welcome(Rc::clone(&ours), stream, acceptor.clone());
        async move {
            if let Err(error) = welcomed.await {
                eprintln!("{peer}: {error}");
            }
        }
    })
    .await?;
    for address in server.local_addrs() {
        println!("{scheme}://{address}; Ctrl-C ends it");
    }
    task::cancelled().await;

    server.close();
    site.end();
    if timeout(PATIENCE, server.wait_closed()).await.is_err() {
        eprintln!("{} connections are cut off", server.connections());
        server.abort_clients();
    }
    println!("{} visits", site.visits());
    Ok(())
}

fn main() -> ExitCode {
    let (options, mut addresses): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let address = addresses.pop().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let acceptor = options.iter().any(|option| option == "--tls");
    let acceptor = acceptor.then(|| Identity::make_up().acceptor());
    match serve(address, acceptor) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("web: {error}");
            ExitCode::FAILURE
        }
    }
}

//! A bounded crawler: pages find pages, never more than three are fetched at once, each has its time, and
//! Ctrl-C ends it gracefully, with what was found so far.
//!
//! The site it crawls is a server of its own, in the same program.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, select_biased};
use loopbind::net::{TcpStream, start_server};
use loopbind::task::{self, TaskGroup};
use loopbind::{loop_main, signal, sleep, timeout};

const PATIENCE: Duration = Duration::from_millis(200);

/// What became of each page. Everything lives on one thread, so that a `RefCell` will do.
struct Crawl {
    site: SocketAddr,
    pages: RefCell<BTreeMap<String, String>>,
}

/// Starts a child of the group for a page that was not seen before; it does the same for its links.
fn visit(group: &TaskGroup<io::Error>, crawl: &Rc<Crawl>, path: &str) {
    let known = crawl.pages.borrow_mut().insert(path.to_owned(), "not fetched".to_owned());
    if let Some(known) = known {
        crawl.pages.borrow_mut().insert(path.to_owned(), known);
        return;
    }
    let (inner, crawl, path) = (group.clone(), Rc::clone(crawl), path.to_owned());
    group.spawn_named(path.clone(), async move {
        let said = match timeout(PATIENCE, fetch(crawl.site, &path)).await {
            Ok(page) => {
                let (status, body) = page?; // an I/O error ends the whole crawl
                let links = body.split("href=\"").skip(1).filter_map(|link| link.split('"').next());
                links.for_each(|link| visit(&inner, &crawl, link));
                status
            }
            Err(elapsed) => elapsed.to_string(),
        };
        crawl.pages.borrow_mut().insert(path, said);
        Ok(())
    });
}

/// A page's status line and its body.
async fn fetch(site: SocketAddr, path: &str) -> io::Result<(String, String)> {
    let mut stream = TcpStream::connect(site).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    let (head, body) = page.split_once("\r\n\r\n").unwrap_or((&page, ""));
    Ok((head.lines().next().unwrap_or_default().to_owned(), body.to_owned()))
}

/// The site: a few pages, one that takes its time, and a link that leads nowhere.
async fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 256];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => request.extend_from_slice(&buffer[..count]),
        }
    }
    let request = String::from_utf8_lossy(&request);
    let path = request.split(' ').nth(1).unwrap_or("/");
    let (status, links): (_, &[&str]) = match path {
        "/" => ("200 OK", &["/tea", "/coffee", "/slow", "/nowhere"]),
        "/tea" => ("200 OK", &["/", "/tea/green", "/tea/black"]),
        "/coffee" => ("418 I'm a teapot", &["/tea"]),
        "/tea/green" | "/tea/black" => ("200 OK", &["/tea"]),
        "/slow" => {
            sleep(Duration::from_secs(60)).await;
            ("200 OK", &[])
        }
        _ => ("404 Not Found", &[]),
    };
    let body: String =
        links.iter().map(|link| format!("<a href=\"{link}\">{link}</a>\n")).collect();
    stream.write_all(format!("HTTP/1.0 {status}\r\n\r\n{body}").as_bytes()).await?;
    stream.close().await
}

#[loop_main]
async fn main() -> io::Result<()> {
    let server = start_server("127.0.0.1:0", |stream, _| async {
        if let Err(error) = serve(stream).await {
            eprintln!("the site: {error}");
        }
    })
    .await?;
    let crawl = Rc::new(Crawl { site: server.local_addrs()[0], pages: RefCell::default() });

    let crawling = task::group(async |group| {
        group.limit(3);
        visit(group, &crawl, "/");
        Ok(())
    });
    select_biased! {
        interrupted = pin!(signal::ctrl_c().fuse()) => {
            interrupted?;
            // The group is dropped with this block, and every fetch with it.
            println!("interrupted; found so far:");
        }
        outcome = pin!(crawling.fuse()) => match outcome {
            Ok(()) => println!("found:"),
            Err(failed) => println!("{}; found until then:", failed.details()),
        },
    }
    for (path, said) in &*crawl.pages.borrow() {
        println!("  {path:12} {said}");
    }
    Ok(())
}

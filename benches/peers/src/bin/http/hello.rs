//! The one answer, twice: by a few lines that know no more of HTTP than they need, and by hyper.

use std::convert::Infallible;
use std::io::Write as _;

use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Response};
use peers::sockets::Talk;

/// HTTP/1.1 for who asks nicely: `GET`, no bodies, any number of requests in a piece or pieces of a request.
#[derive(Default)]
pub struct Hello {
    /// The beginning of a request whose end did not come yet.
    begun: Vec<u8>,
}

impl Talk for Hello {
    fn hear(&mut self, read: &[u8], answer: &mut Vec<u8>) -> bool {
        if self.begun.is_empty() {
            let Some(left) = greet_all(read, answer) else { return false };
            self.begun.extend_from_slice(left);
            return true;
        }
        self.begun.extend_from_slice(read);
        let begun = std::mem::take(&mut self.begun);
        let Some(left) = greet_all(&begun, answer) else { return false };
        self.begun.extend_from_slice(left);
        true
    }
}

/// Answers every request that is whole, and gives what is behind them.
fn greet_all<'a>(mut bytes: &'a [u8], answer: &mut Vec<u8>) -> Option<&'a [u8]> {
    const END: &[u8] = b"\r\n\r\n";
    while let Some(end) = bytes.windows(END.len()).position(|four| four == END) {
        let line = bytes[..end].split(|&byte| byte == b'\r').next()?;
        let path = line.strip_prefix(b"GET /")?.strip_suffix(b" HTTP/1.1")?;
        let name = str::from_utf8(path).ok()?;
        let length = "Hello, !\n".len() + name.len();
        let written = write!(
            answer,
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\nHello, {name}!\n"
        );
        written.ok()?;
        bytes = &bytes[end + END.len()..];
    }
    Some(bytes)
}

/// What hyper is told to answer, on whatever runtime.
pub async fn hello(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let name = request.uri().path().trim_start_matches('/');
    let response = Response::builder().header(CONTENT_TYPE, "text/plain");
    Ok(response.body(format!("Hello, {name}!\n")).expect("a header that is one"))
}

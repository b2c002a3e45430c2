//! What a server asks of a runtime's sockets, and the runtimes that are asked.
//!
//! Each is set up as its documentation has a program do it, and is asked for what it has itself:
//! reads into a borrowed buffer or an owned one, a write of everything, a task for each connection.

use std::os::fd::{FromRawFd as _, IntoRawFd as _};
use std::rc::Rc;
use std::time::Duration;

/// What a server reads into, in bytes.
pub const BUFFER: usize = 1024;

/// One single-threaded runtime with sockets.
pub trait Runtime: 'static {
    type Listener: 'static;
    type Stream: 'static;

    /// Runs `future` on a runtime that is made for it, and is gone afterwards.
    fn block_on(future: impl Future<Output = ()> + 'static);
    /// Starts a task, from inside of one, and leaves it alone.
    fn spawn(future: impl Future<Output = ()> + 'static);
    fn listener(listener: std::net::TcpListener) -> Self::Listener;
    fn accept(listener: &Self::Listener) -> impl Future<Output = Self::Stream>;
    /// Until the client has enough, `answer` makes an answer of what was read, in its place.
    fn converse(
        stream: Self::Stream,
        answer: impl Fn(&mut [u8]) + 'static,
    ) -> impl Future<Output = ()>;
    /// Until the client has enough, or is not understood, says what `talk` has to say to what was read.
    fn discuss(stream: Self::Stream, talk: impl Talk) -> impl Future<Output = ()>;
}

/// One side of a conversation whose answers are of other lengths than the questions.
pub trait Talk: 'static {
    /// Takes in what was read, and appends to `answer` what there is to be said. False: it makes no sense.
    fn hear(&mut self, read: &[u8], answer: &mut Vec<u8>) -> bool;
}

const FINE: &str = "nothing fails on the loopback";

/// With so many microseconds of spinning before each sleep.
pub struct Loopbind<const SPIN: u64>;

impl<const SPIN: u64> Runtime for Loopbind<SPIN> {
    type Listener = loopbind::net::TcpListener;
    type Stream = loopbind::net::TcpStream;

    fn block_on(future: impl Future<Output = ()> + 'static) {
        let builder = loopbind::EventLoop::builder().spin(Duration::from_micros(SPIN));
        builder.build().expect("a loop").run_until_complete(future).expect(FINE);
    }

    fn spawn(future: impl Future<Output = ()> + 'static) {
        loopbind::spawn(future).detach();
    }

    fn listener(listener: std::net::TcpListener) -> Self::Listener {
        Self::Listener::from_std(listener).expect(FINE)
    }

    async fn accept(listener: &Self::Listener) -> Self::Stream {
        listener.accept().await.expect(FINE).0
    }

    async fn converse(mut stream: Self::Stream, answer: impl Fn(&mut [u8])) {
        use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut buffer = [0; BUFFER];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            answer(&mut buffer[..count]);
            stream.write_all(&buffer[..count]).await.expect(FINE);
        }
    }

    async fn discuss(stream: Self::Stream, talk: impl Talk) {
        over_futures_io(stream, talk).await;
    }
}

pub struct Tokio;

impl Runtime for Tokio {
    type Listener = tokio::net::TcpListener;
    type Stream = tokio::net::TcpStream;

    fn block_on(future: impl Future<Output = ()> + 'static) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build_local(Default::default());
        runtime.expect("a local runtime").block_on(future);
    }

    fn spawn(future: impl Future<Output = ()> + 'static) {
        drop(tokio::task::spawn_local(future));
    }

    fn listener(listener: std::net::TcpListener) -> Self::Listener {
        Self::Listener::from_std(listener).expect(FINE)
    }

    async fn accept(listener: &Self::Listener) -> Self::Stream {
        listener.accept().await.expect(FINE).0
    }

    async fn converse(mut stream: Self::Stream, answer: impl Fn(&mut [u8])) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut buffer = [0; BUFFER];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            answer(&mut buffer[..count]);
            stream.write_all(&buffer[..count]).await.expect(FINE);
        }
    }

    async fn discuss(stream: Self::Stream, talk: impl Talk) {
        over_tokio(stream, talk).await;
    }
}

/// async-executor with async-io. What async-io's own thread does is not in the server's time.
pub struct Smol;

thread_local! {
    static EXECUTOR: Rc<async_executor::LocalExecutor<'static>> = Rc::default();
}

impl Runtime for Smol {
    type Listener = async_io::Async<std::net::TcpListener>;
    type Stream = async_io::Async<std::net::TcpStream>;

    fn block_on(future: impl Future<Output = ()> + 'static) {
        let executor = EXECUTOR.with(Rc::clone);
        async_io::block_on(executor.run(future));
    }

    fn spawn(future: impl Future<Output = ()> + 'static) {
        EXECUTOR.with(|executor| executor.spawn(future).detach());
    }

    fn listener(listener: std::net::TcpListener) -> Self::Listener {
        Self::Listener::new(listener).expect(FINE)
    }

    async fn accept(listener: &Self::Listener) -> Self::Stream {
        listener.accept().await.expect(FINE).0
    }

    async fn converse(mut stream: Self::Stream, answer: impl Fn(&mut [u8])) {
        use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut buffer = [0; BUFFER];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            answer(&mut buffer[..count]);
            stream.write_all(&buffer[..count]).await.expect(FINE);
        }
    }

    async fn discuss(stream: Self::Stream, talk: impl Talk) {
        over_futures_io(stream, talk).await;
    }
}

/// monoio on a driver of its own: io_uring or epoll.
pub struct Monoio<Driver>(Driver);

pub type MonoioUring = Monoio<monoio::IoUringDriver>;
pub type MonoioEpoll = Monoio<monoio::LegacyDriver>;

macro_rules! monoio {
    ($driver:ty) => {
        impl Runtime for Monoio<$driver> {
            type Listener = monoio::net::TcpListener;
            type Stream = monoio::net::TcpStream;

            fn block_on(future: impl Future<Output = ()> + 'static) {
                let runtime = monoio::RuntimeBuilder::<$driver>::new().build();
                runtime.expect("a runtime").block_on(future);
            }

            fn spawn(future: impl Future<Output = ()> + 'static) {
                drop(monoio::spawn(future));
            }

            fn listener(listener: std::net::TcpListener) -> Self::Listener {
                Self::Listener::from_std(listener).expect(FINE)
            }

            async fn accept(listener: &Self::Listener) -> Self::Stream {
                listener.accept().await.expect(FINE).0
            }

            async fn converse(mut stream: Self::Stream, answer: impl Fn(&mut [u8])) {
                use monoio::io::{AsyncReadRent as _, AsyncWriteRentExt as _};
                let mut buffer = Vec::with_capacity(BUFFER);
                loop {
                    let (count, mut read) = stream.read(buffer).await;
                    let Ok(1..) = count else { return };
                    answer(&mut read);
                    let (done, written) = stream.write_all(read).await;
                    done.expect(FINE);
                    buffer = written;
                    buffer.clear();
                }
            }

            async fn discuss(mut stream: Self::Stream, mut talk: impl Talk) {
                use monoio::io::{AsyncReadRent as _, AsyncWriteRentExt as _};
                let (mut buffer, mut answer) = (Vec::with_capacity(BUFFER), Vec::new());
                loop {
                    let (count, read) = stream.read(buffer).await;
                    let Ok(1..) = count else { return };
                    if !talk.hear(&read, &mut answer) {
                        return;
                    }
                    let (done, said) = stream.write_all(answer).await;
                    if done.is_err() {
                        return;
                    }
                    (buffer, answer) = (read, said);
                    buffer.clear();
                    answer.clear();
                }
            }
        }
    };
}
monoio!(monoio::IoUringDriver);
monoio!(monoio::LegacyDriver);

pub struct Compio;

impl Runtime for Compio {
    type Listener = compio::net::TcpListener;
    type Stream = compio::net::TcpStream;

    fn block_on(future: impl Future<Output = ()> + 'static) {
        compio::runtime::Runtime::new().expect("a runtime").block_on(future);
    }

    fn spawn(future: impl Future<Output = ()> + 'static) {
        compio::runtime::spawn(future).detach();
    }

    fn listener(listener: std::net::TcpListener) -> Self::Listener {
        Self::Listener::from_std(listener).expect(FINE)
    }

    async fn accept(listener: &Self::Listener) -> Self::Stream {
        listener.accept().await.expect(FINE).0
    }

    async fn converse(mut stream: Self::Stream, answer: impl Fn(&mut [u8])) {
        use compio::buf::BufResult;
        use compio::io::{AsyncRead as _, AsyncWriteExt as _};
        let mut buffer = Vec::with_capacity(BUFFER);
        loop {
            let BufResult(count, mut read) = stream.read(buffer).await;
            let Ok(1..) = count else { return };
            answer(&mut read);
            let BufResult(done, written) = stream.write_all(read).await;
            done.expect(FINE);
            buffer = written;
            // A shorter read would leave the length as it was.
            buffer.clear();
        }
    }

    async fn discuss(mut stream: Self::Stream, mut talk: impl Talk) {
        use compio::buf::BufResult;
        use compio::io::{AsyncRead as _, AsyncWriteExt as _};
        let (mut buffer, mut answer) = (Vec::with_capacity(BUFFER), Vec::new());
        loop {
            let BufResult(count, read) = stream.read(buffer).await;
            let Ok(1..) = count else { return };
            if !talk.hear(&read, &mut answer) {
                return;
            }
            let BufResult(done, said) = stream.write_all(answer).await;
            if done.is_err() {
                return;
            }
            (buffer, answer) = (read, said);
            // A shorter read would leave the length as it was.
            buffer.clear();
            answer.clear();
        }
    }
}

/// glommio. It has no listener from std's but by its descriptor, and waits for one that blocks.
pub struct Glommio;

impl Runtime for Glommio {
    type Listener = glommio::net::TcpListener;
    type Stream = glommio::net::TcpStream;

    fn block_on(future: impl Future<Output = ()> + 'static) {
        glommio::LocalExecutor::default().run(future);
    }

    fn spawn(future: impl Future<Output = ()> + 'static) {
        glommio::spawn_local(future).detach();
    }

    fn listener(listener: std::net::TcpListener) -> Self::Listener {
        listener.set_nonblocking(false).expect(FINE);
        // SAFETY: the descriptor is the listener's, which gives it away.
        unsafe { Self::Listener::from_raw_fd(listener.into_raw_fd()) }
    }

    async fn accept(listener: &Self::Listener) -> Self::Stream {
        listener.accept().await.expect(FINE)
    }

    async fn converse(mut stream: Self::Stream, answer: impl Fn(&mut [u8])) {
        use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut buffer = [0; BUFFER];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            answer(&mut buffer[..count]);
            stream.write_all(&buffer[..count]).await.expect(FINE);
        }
    }

    async fn discuss(stream: Self::Stream, talk: impl Talk) {
        over_futures_io(stream, talk).await;
    }
}

/// What to do with streams that have the traits of futures-io.
async fn over_futures_io<S>(mut stream: S, mut talk: impl Talk)
where
    S: futures::io::AsyncRead + futures::io::AsyncWrite + Unpin,
{
    use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut buffer, mut answer) = ([0; BUFFER], Vec::new());
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if !talk.hear(&buffer[..count], &mut answer) || stream.write_all(&answer).await.is_err() {
            return;
        }
        answer.clear();
    }
}

/// What to do with tokio's, on either of its runtimes: a future that may cross threads where `talk` may.
pub async fn over_tokio(mut stream: tokio::net::TcpStream, mut talk: impl Talk) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut buffer, mut answer) = ([0; BUFFER], Vec::new());
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if !talk.hear(&buffer[..count], &mut answer) || stream.write_all(&answer).await.is_err() {
            return;
        }
        answer.clear();
    }
}

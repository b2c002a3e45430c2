//! glommio. It wants io_uring, and memory it may lock.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use glommio::channels::local_channel;
use glommio::timer::Timer;
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};
use workloads::{Need, Receiver, Runtime, Sender, Sleep, Spawner};

pub struct Glommio(LocalExecutor);

#[derive(Clone)]
pub struct OnGlommio;

impl Runtime for Glommio {
    const NAME: &'static str = "glommio";
    type Spawner = OnGlommio;

    fn new() -> Self {
        Glommio(LocalExecutorBuilder::new(Placement::Unbound).make().expect("an executor"))
    }

    fn spawner(&self) -> OnGlommio {
        OnGlommio
    }

    fn block_on<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
        self.0.run(future)
    }

    fn lacks(need: Need) -> Option<&'static str> {
        (need == Need::ManyWakers).then_some("a task of its has 32,767 wakers at most")
    }

    async fn yield_now() {
        glommio::executor().yield_now().await;
    }

    fn sleep(duration: Duration) -> impl Sleep {
        Sleeping(Timer::new(duration))
    }

    fn channel<T: 'static>() -> (impl Sender<T>, impl Receiver<T>) {
        let (sender, receiver) = local_channel::new_unbounded();
        (Sending(sender), Receiving(receiver))
    }

    async fn spawn_blocking(work: fn()) {
        glommio::executor().spawn_blocking(work).await;
    }
}

impl Spawner for OnGlommio {
    type Handle<T: 'static> = glommio::Task<T>;

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Self::Handle<T> {
        glommio::spawn_local(future)
    }
}

struct Sleeping(Timer);

impl Future for Sleeping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

impl Sleep for Sleeping {
    fn reset(mut self: Pin<&mut Self>, after: Duration) {
        self.0.reset(after);
    }
}

struct Sending<T>(local_channel::LocalSender<T>);
struct Receiving<T>(local_channel::LocalReceiver<T>);

impl<T: 'static> Sender<T> for Sending<T> {
    fn send(&self, item: T) {
        assert!(self.0.try_send(item).is_ok(), "somebody listens");
    }
}

impl<T: 'static> Receiver<T> for Receiving<T> {
    fn receive(&mut self) -> impl Future<Output = Option<T>> {
        self.0.recv()
    }
}

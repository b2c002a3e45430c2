//! A loop inside winit's. winit does not watch descriptors of others, so that the one thread does which `drive` starts for
//! all loops of a process: it wakes the loop's future, whose waker is winit's proxy.
//!
//! ```sh
//! apt-get install xvfb                 # where there is no display
//! cd examples/hosts && xvfb-run -a cargo run --features winit --bin winit
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use hosts::cpu_time;
use loopbind::{Drive, EventLoop, sleep};
use winit::application::ApplicationHandler;
use winit::event::WindowEvent;
use winit::event_loop::{ActiveEventLoop, EventLoopProxy};
use winit::window::{Window, WindowId};

// The recipe.
/// The user event: the loop has something to do.
#[derive(Debug)]
struct Turn;

/// A waker that calls winit, from whatever thread.
struct Proxy(EventLoopProxy<Turn>);

impl Wake for Proxy {
    fn wake(self: Arc<Self>) {
        // Where winit's loop is over, nobody turns ours.
        let _ = self.0.send_event(Turn);
    }
}

/// A loop that winit turns.
struct Guest {
    drive: Option<Drive>,
    waker: Waker,
}

impl Guest {
    fn new(event_loop: &EventLoop, proxy: EventLoopProxy<Turn>) -> Guest {
        let guest = Guest { drive: Some(event_loop.drive()), waker: Arc::new(Proxy(proxy)).into() };
        // The first turn.
        guest.waker.wake_by_ref();
        guest
    }

    /// A few turns; `false` once the loop was stopped. To be called for each `Turn`.
    fn turn(&mut self) -> bool {
        let Some(drive) = &mut self.drive else { return false };
        match Pin::new(drive).poll(&mut Context::from_waker(&self.waker)) {
            Poll::Pending => return true,
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => eprintln!("the loop is not turned: {error}"),
        }
        self.drive = None;
        false
    }
}
// To here.

struct App {
    event_loop: EventLoop,
    guest: Guest,
    window: Option<Window>,
    began: Option<(Instant, Duration)>,
    used: Option<(Duration, Duration)>,
}

impl ApplicationHandler<Turn> for App {
    fn resumed(&mut self, target: &ActiveEventLoop) {
        let attributes = Window::default_attributes().with_title("a loop beside a window");
        self.window = Some(target.create_window(attributes).unwrap());
        self.began = Some((Instant::now(), cpu_time()));
        // From a callback of winit's, and while the window is there.
        let stop = self.event_loop.clone();
        self.event_loop
            .create_task(async move {
                for tick in 1..=5 {
                    let due = Instant::now() + Duration::from_millis(200);
                    sleep(Duration::from_millis(200)).await;
                    assert!(Instant::now() >= due);
                    println!("  tick {tick}");
                }
                stop.stop();
            })
            .detach();
    }

    fn user_event(&mut self, target: &ActiveEventLoop, _: Turn) {
        if !self.guest.turn() {
            if let Some((at, cpu)) = self.began {
                self.used = Some((at.elapsed(), cpu_time() - cpu));
            }
            target.exit();
        }
    }

    fn window_event(&mut self, target: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        if let WindowEvent::CloseRequested = event {
            target.exit();
        }
    }
}

fn main() {
    let host = winit::event_loop::EventLoop::<Turn>::with_user_event().build().unwrap();
    let event_loop = EventLoop::builder().name("guest").build().unwrap();
    let guest = Guest::new(&event_loop, host.create_proxy());
    let handle = event_loop.handle();
    let other = std::thread::spawn(move || handle.spawn(|| async { 42 }).unwrap().join().unwrap());

    let mut app =
        App { event_loop: event_loop.clone(), guest, window: None, began: None, used: None };
    host.run_app(&mut app).unwrap();

    assert_eq!(other.join().unwrap(), 42);
    assert!(app.window.is_some(), "no window was there");
    let (took, cpu) = app.used.expect("the loop has stopped winit");
    let turns = event_loop.metrics().turns;
    assert!(took >= Duration::from_secs(1) && turns <= 40, "{turns} turns in {took:?}");
    assert!(cpu < took / 10, "{cpu:?} of {took:?}");
    println!("winit: {turns} turns, {cpu:.1?} of CPU in {took:.1?}");
}

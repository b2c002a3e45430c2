//! The other way around, and without a thread: on X11 and Wayland winit has a descriptor, which our loop watches. winit
//! is turned inside of a task, and whatever its callbacks start is started on the loop that runs.
//!
//! ```sh
//! apt-get install xvfb                 # where there is no display
//! cd examples/hosts && xvfb-run -a cargo run --features winit --bin winit_pump
//! ```

use std::cell::Cell;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hosts::cpu_time;
use loopbind::{Async, loop_main, sleep, spawn};
use winit::application::ApplicationHandler;
use winit::event::WindowEvent;
use winit::event_loop::{ActiveEventLoop, EventLoop as Windows};
use winit::platform::pump_events::{EventLoopExtPumpEvents, PumpStatus};
use winit::window::{Window, WindowId};

// The recipe.
/// An application whose callbacks note that they were called.
trait Noting: ApplicationHandler {
    fn calls(&self) -> u64;
}

/// winit in a task, until it exits.
async fn windows(mut windows: Windows<()>, app: &mut impl Noting) -> std::io::Result<i32> {
    let descriptor = Async::new(windows.as_fd().try_clone_to_owned()?)?;
    loop {
        // Until nothing comes of it: what X11 sent while a callback asked it for something is in memory by then, and no
        // descriptor tells.
        loop {
            let before = app.calls();
            if let PumpStatus::Exit(code) = windows.pump_app_events(Some(Duration::ZERO), app) {
                return Ok(code);
            }
            if app.calls() == before {
                break;
            }
        }
        descriptor.readable().await?;
    }
}
// To here.

#[derive(Default)]
struct App {
    calls: u64,
    window: Option<Rc<Window>>,
    redraws: u32,
    done: Rc<Cell<bool>>,
}

impl Noting for App {
    fn calls(&self) -> u64 {
        self.calls
    }
}

impl ApplicationHandler for App {
    fn resumed(&mut self, target: &ActiveEventLoop) {
        self.calls += 1;
        let attributes = Window::default_attributes().with_title("a window inside of a loop");
        let window = Rc::new(target.create_window(attributes).unwrap());
        self.window = Some(Rc::clone(&window));
        let done = Rc::clone(&self.done);
        // The loop runs: a callback of winit's starts tasks as any code of it does.
        spawn(async move {
            for tick in 1..=5 {
                let due = Instant::now() + Duration::from_millis(200);
                sleep(Duration::from_millis(200)).await;
                assert!(Instant::now() >= due);
                println!("  tick {tick}");
                window.request_redraw();
            }
            done.set(true);
            window.request_redraw();
        })
        .detach();
    }

    fn window_event(&mut self, target: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        self.calls += 1;
        match event {
            WindowEvent::RedrawRequested => self.redraws += 1,
            WindowEvent::CloseRequested => target.exit(),
            _ => {}
        }
        if self.done.get() {
            target.exit();
        }
    }
}

#[loop_main]
async fn main() {
    let host = Windows::new().unwrap();
    let mut app = App::default();
    let began = (Instant::now(), cpu_time());
    assert_eq!(windows(host, &mut app).await.unwrap(), 0);
    let (took, cpu) = (began.0.elapsed(), cpu_time() - began.1);
    let turns = loopbind::get_running_loop().unwrap().metrics().turns;
    assert!(app.redraws >= 5, "{} redraws", app.redraws);
    assert!(took >= Duration::from_secs(1) && turns <= 60, "{turns} turns in {took:?}");
    assert!(cpu < took / 10, "{cpu:?} of {took:?}");
    println!(
        "winit, pumped: {turns} turns, {} redraws, {cpu:.1?} of CPU in {took:.1?}",
        app.redraws
    );
}

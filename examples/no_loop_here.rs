//! What a thread without a loop is told, and the two ways to give it one.
//!
//! ```sh
//! cargo run --example no_loop_here
//! ```

use std::thread;

use loopbind::{EventLoop, LoopError, get_event_loop, loop_thread};

fn main() {
    let plain = thread::Builder::new().name("Thread-385".into());
    let error = plain.spawn(|| get_event_loop().unwrap_err()).unwrap().join().unwrap();
    println!("a plain thread: {error}");

    let bound = thread::Builder::new().name("Thread-386".into());
    let answer = bound.spawn(with_a_loop_bound).unwrap().join().unwrap();
    println!("a loop bound by hand: {}", answer.unwrap());

    let annotated = thread::Builder::new().name("Thread-387".into());
    println!("#[loop_thread]: {}", annotated.spawn(annotated_worker).unwrap().join().unwrap());
}

fn with_a_loop_bound() -> Result<String, LoopError> {
    let event_loop = EventLoop::new()?;
    let _bound = event_loop.bind();
    get_event_loop()?.run_until_complete(here())
}

#[loop_thread]
async fn annotated_worker() -> String {
    here().await
}

async fn here() -> String {
    let event_loop = get_event_loop().expect("a coroutine has the loop that runs it");
    format!("{} runs loop {}", thread::current().name().unwrap_or("?"), event_loop.id().get())
}

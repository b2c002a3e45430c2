//! Counts the words of the files named on the command line (the README where none is), on worker
//! threads that each have a loop of their own.
//!
//! ```sh
//! cargo run --example worker_threads
//! cargo run --example worker_threads README.md DESIGN.md
//! ```

use std::collections::HashMap;
use std::process::ExitCode;
use std::rc::Rc;
use std::{cell::RefCell, fs};

use loopbind::{RemoteTask, loop_main, loop_thread, task};

thread_local! {
    /// What a worker keeps to itself: nothing here needs a lock, or to be `Send`.
    static VOCABULARY: Rc<RefCell<HashMap<String, usize>>> = Rc::default();
}

/// A worker's body: it waits to be stopped, while its loop does what it is sent.
#[loop_thread(spawn)]
async fn worker(_number: usize) -> usize {
    task::cancelled().await;
    VOCABULARY.with(|words| words.borrow().len())
}

/// Runs on a worker's loop.
async fn count(path: String) -> Result<usize, String> {
    let text = loopbind::spawn_blocking({
        let path = path.clone();
        move || fs::read_to_string(path)
    });
    let text = text.await.map_err(|error| format!("{path}: {error}"))?;
    let text = text.map_err(|error| format!("{path}: {error}"))?;
    let vocabulary = VOCABULARY.with(Rc::clone);
    for word in text.split_whitespace() {
        *vocabulary.borrow_mut().entry(word.to_lowercase()).or_default() += 1;
    }
    Ok(text.split_whitespace().count())
}

#[loop_main]
async fn main() -> ExitCode {
    let mut paths: Vec<String> = std::env::args().skip(1).collect();
    if paths.is_empty() {
        paths.push(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md").into());
    }

    let workers: Vec<_> = (0..2).map(worker).collect();
    let counts: Vec<(String, RemoteTask<Result<usize, String>>)> = paths
        .into_iter()
        .zip(workers.iter().cycle())
        .map(|(path, worker)| {
            let job = path.clone();
            // The closure crosses threads; the future is made, and stays, on the worker's loop.
            let count = worker.handle().spawn(move || count(job)).expect("the worker is running");
            (path, count)
        })
        .collect();

    let mut total = 0;
    let mut status = ExitCode::SUCCESS;
    for (path, count) in counts {
        match count.await.expect("nobody cancels a count") {
            Ok(words) => {
                println!("{words:>8} {path}");
                total += words;
            }
            Err(error) => {
                eprintln!("worker_threads: {error}");
                status = ExitCode::FAILURE;
            }
        }
    }
    println!("{total:>8} total");

    for worker in workers {
        worker.stop();
        let name = worker.thread().name().unwrap_or("?").to_owned();
        let different = worker.join().expect("a worker that listens ends by itself");
        println!("{name} saw {different} different words");
    }
    status
}

//! A weather station: readings are broadcast to whoever listens, the latest is watched, and what is to be
//! written down goes through a queue to a clerk who takes his time.
//!
//! ```sh
//! cargo run --example pubsub
//! ```

use std::rc::Rc;
use std::time::Duration;

use loopbind::sync::broadcast::{self, RecvError};
use loopbind::sync::{Queue, watch};
use loopbind::{loop_main, sleep, spawn};

#[derive(Clone, Debug)]
struct Reading {
    number: u32,
    degrees: i32,
}

/// Hears every reading, or how many it missed.
async fn listen(name: &str, pause: Duration, mut readings: broadcast::Receiver<Reading>) -> u32 {
    let mut heard = 0;
    loop {
        match readings.recv().await {
            Ok(Reading { number, degrees }) => {
                println!("{name}: reading {number}, {degrees} degrees");
                heard += 1;
            }
            Err(RecvError::Lagged(missed)) => println!("{name}: missed {missed}"),
            Err(RecvError::Closed) => return heard,
        }
        sleep(pause).await;
    }
}

/// Sees the latest temperature only, and waits for a frost.
async fn warn_of_frost(mut temperature: watch::Receiver<i32>) {
    match temperature.wait_for(|degrees| *degrees < 0).await.map(|degrees| *degrees) {
        Ok(degrees) => println!("frost: {degrees} degrees"),
        Err(watch::Closed) => println!("no frost today"),
    }
}

/// Writes down what is in the queue, one after the other.
async fn write_down(entries: Rc<Queue<String>>) -> usize {
    let mut book = Vec::new();
    while let Some(entry) = entries.get().await {
        sleep(Duration::from_millis(2)).await;
        book.push(entry);
        entries.task_done();
    }
    book.len()
}

#[loop_main]
async fn main() {
    let (readings, receiver) = broadcast::channel(4);
    let (temperature, watched) = watch::channel(20);
    let entries = Rc::new(Queue::bounded(2));

    let quick = spawn(listen("quick", Duration::ZERO, receiver.resubscribe()));
    let slow = spawn(listen("slow", Duration::from_millis(15), receiver));
    let frost = spawn(warn_of_frost(watched));
    let clerk = spawn(write_down(Rc::clone(&entries)));

    for (number, degrees) in [12, 7, 3, 1, -2, -4, 0, 2, 6, 9].into_iter().enumerate() {
        let reading = Reading { number: number as u32, degrees };
        // Waits where the clerk is behind: two may lie on his desk.
        entries.put(format!("{reading:?}")).await.expect("the office is open");
        temperature.send_replace(degrees);
        readings.send(reading).expect("somebody listens");
        sleep(Duration::from_millis(3)).await;
    }

    // Everything was written down; then the office closes, and the listeners hear of the end.
    entries.join().await;
    entries.shutdown(false);
    drop((readings, temperature));
    frost.await.expect("it does not fail");
    let (quick, slow, book) = (quick.await, slow.await, clerk.await);
    println!(
        "quick heard {}, slow {}, and {} are in the book",
        quick.expect("it does not fail"),
        slow.expect("it does not fail"),
        book.expect("it does not fail"),
    );
}

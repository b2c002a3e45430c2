//! Dots every half second, for five seconds or as many as you say:
//!
//! ```sh
//! cargo run --example indicator
//! cargo run --example indicator 1.5
//! ```

use std::io::Write as _;
use std::time::Duration;

use loopbind::{get_event_loop, loop_main, sleep};

/// Never ends by itself: whoever started it cancels it.
async fn indicate_progress() {
    loop {
        print!(".");
        // Standard output keeps what does not end in a line.
        let _ = std::io::stdout().flush();
        sleep(Duration::from_millis(500)).await;
    }
}

#[loop_main]
async fn main() -> Result<(), String> {
    let duration = match std::env::args().nth(1) {
        None => Duration::from_secs(5),
        Some(text) => seconds(&text)?,
    };

    // No loop was handed to this function: inside a coroutine, the loop that runs it is found.
    let event_loop = get_event_loop().map_err(|error| error.to_string())?;
    let indicator = event_loop.task_builder().name("indicator").spawn(indicate_progress());
    sleep(duration).await;

    indicator.cancel();
    let ended = indicator.await.expect_err("it never ends by itself");
    println!("\nafter {duration:?}: {ended}");
    Ok(())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("not a number of seconds: {text}"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| format!("{text} seconds: {error}"))
}

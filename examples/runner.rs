//! The order in which a loop shuts down.
//!
//! ```sh
//! cargo run --example runner
//! ```

use loopbind::{LoopError, Runner, get_bound_loop, spawn, spawn_blocking, task, yield_now};

/// Says when it is dropped.
struct Farewell(&'static str);

impl Drop for Farewell {
    fn drop(&mut self) {
        println!("   {} is dropped", self.0);
    }
}

fn main() -> Result<(), LoopError> {
    let runner = Runner::new()?;

    println!("1. the first run");
    runner.run(async {
        spawn(async {
            let _farewell = Farewell("a task that never ends");
            std::future::pending::<()>().await;
        });
        spawn(async {
            let _farewell = Farewell("a task that cleans up");
            task::cancelled().await;
            println!("   asked to end: cleaning up takes an iteration or two");
            yield_now().await;
            let farewell = Farewell("a task that was started during the shutdown");
            spawn(async move {
                let _farewell = farewell;
                println!(
                    "   (never printed: a task that is cancelled before it starts never starts)"
                );
            })
            .cancel();
            yield_now().await;
            println!("   cleaned up");
        });
        println!("   two tasks were started");
    })?;

    println!("2. between runs: {} tasks, frozen", runner.event_loop().all_tasks().len());
    println!("   bound: {}", get_bound_loop().is_some());

    println!("3. the second run, on the same loop");
    runner.run(async {
        spawn_blocking(|| println!("   blocking work that nobody awaits is waited for"));
        println!("   main ends");
    })?;

    println!("4. closing: cancel what is left, run its cleanup, wait for blocking work, close");
    let event_loop = runner.event_loop().clone();
    runner.close()?;
    println!("5. closed: {}; tasks left: {}", event_loop.is_closed(), event_loop.all_tasks().len());
    Ok(())
}

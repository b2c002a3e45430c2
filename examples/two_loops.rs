//! Any loop runs though another is bound, and no loop runs inside another.
//!
//! ```sh
//! cargo run --example two_loops
//! ```

use loopbind::{EventLoop, LoopError, get_event_loop, get_running_loop, set_event_loop};

fn main() -> Result<(), LoopError> {
    let bound = EventLoop::builder().name("bound").build()?;
    let other = EventLoop::builder().name("other").build()?;
    set_event_loop(Some(&bound));

    println!("outside, the current loop is {:?}", name(&get_event_loop()?));
    other.run_until_complete(async {
        println!("inside a run of the other, it is {:?}", name(&get_event_loop()?));
        Ok::<(), LoopError>(())
    })??;
    println!("and afterwards {:?} again", name(&get_event_loop()?));

    bound.run_until_complete(async {
        let refused = other.run_until_complete(async { "never" });
        println!("running the other inside of the bound one: {}", refused.unwrap_err());

        // The refusal changed nothing: not for the loop that runs, and not for the refused one.
        println!("still running: {:?}", name(&get_running_loop()?));
        println!("the outer loop still works: {}", loopbind::spawn(async { 6 * 7 }).await.unwrap());
        Ok::<(), LoopError>(())
    })??;

    println!("the refused loop, later: {}", other.run_until_complete(async { "it runs" })?);
    Ok(())
}

fn name(event_loop: &EventLoop) -> &str {
    event_loop.name().unwrap_or("unnamed")
}

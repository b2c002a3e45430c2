//! What passes between threads in loopbind, tried in every order of events.
//!
//! The files of `loopbind-runtime` that hold the protocols are compiled as they stand, with
//! [loom](https://docs.rs/loom)'s atomics and cells in the place of std's. A model that fails panics
//! with what went wrong, and ends the program.
//!
//! ```sh
//! cargo run --release          # every model, with three preemptions at most
//! cargo run --release -- 5     # with five
//! ```

mod anchors;
mod atomic;
mod desk;
mod ends;
mod letters;
mod tasks;

#[path = "../../loopbind-runtime/src/inbox.rs"]
#[allow(dead_code)]
mod inbox;
#[path = "../../loopbind-runtime/src/ready.rs"]
#[allow(dead_code)]
mod ready;
#[path = "../../loopbind-runtime/src/task/refs.rs"]
#[allow(dead_code)]
mod refs;

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const PREEMPTIONS: usize = 3;

/// Each holds, in every order of events.
const MODELS: [(&str, fn()); 20] = [
    ("posts arrive once each, in order, with what was written before", letters::posts_arrive),
    ("who parks is woken by a post, whenever it comes", letters::a_post_ends_the_sleep),
    ("two posters and a sleeper", letters::two_posts_end_the_sleep),
    ("a post to an inbox that closes is taken or refused", letters::closing_takes_or_refuses),
    ("cloned at home, dropped elsewhere, while the task ends", tasks::dropped_elsewhere),
    ("cloned and dropped elsewhere, while the task ends", tasks::cloned_elsewhere),
    ("woken elsewhere by value, while the task ends", tasks::woken_by_value),
    ("woken elsewhere twice: the poll sees what was written", tasks::woken_twice),
    ("woken and asked to end from two threads", tasks::woken_and_asked),
    ("kept elsewhere beyond the loop's end", tasks::kept_beyond_the_end),
    ("woken while the loop closes", tasks::woken_while_closing),
    ("a task that is over is shared", tasks::shared_when_over),
    ("who sees the end sees what the future's drop did", ends::the_end_is_seen),
    ("aborted elsewhere, while the task ends", ends::aborted_while_it_ends),
    ("woken from two threads while the loop closes", ends::two_wake_while_closing),
    ("where no reference is counted, no wake is to come", ends::none_is_counted_that_may_wake),
    ("an entry that nobody else has serves again", ends::alone_it_serves_again),
    ("a task that is over is shared, and woken", ends::shared_twice_when_over),
    ("woken while the loop goes, and its home with it", anchors::woken_while_the_home_goes),
    ("kept elsewhere beyond its home's loop", anchors::kept_beyond_the_home),
];

/// Each has a mistake in it that must be found: a checker that finds nothing proves nothing.
const MISTAKES: [(&str, fn()); 8] = [
    ("asleep without a last look", letters::mistake_no_last_look),
    ("a redundant wake that writes nothing", tasks::mistake_redundant_wake),
    ("a poster that touches what it posted", tasks::mistake_touch_after_post),
    ("an end that does not merge the counts", tasks::mistake_no_merge),
    ("an end that is shown before the future is dropped", ends::mistake_end_before_drop),
    ("an entry that serves again while somebody has it", ends::mistake_serves_again),
    ("a task that is over, shared with the counts apart", ends::mistake_shared_apart),
    ("a task that is shared before it keeps its home", anchors::mistake_merge_then_keep),
];

fn main() {
    let argument = std::env::args().nth(1).unwrap_or_default();
    if let Some((_, mistake)) = MISTAKES.iter().find(|(name, _)| *name == argument) {
        explore(PREEMPTIONS, *mistake);
        return;
    }
    let preemptions = match argument.parse() {
        Ok(bound) => bound,
        Err(_) => PREEMPTIONS,
    };
    let mut all = 0;
    for (name, model) in MODELS {
        let began = Instant::now();
        let tried = explore(preemptions, model);
        all += tried;
        println!("{tried:>9} orders {:>7.2} s  {name}", began.elapsed().as_secs_f64());
    }
    for (name, _) in MISTAKES {
        // By itself: the checker may abort when it finds something.
        let program = std::env::current_exe().expect("this program");
        let ended = Command::new(program).arg(name).output().expect("this program, once more");
        assert!(!ended.status.success(), "not found: {name}");
        println!("    found                  {name}");
    }
    println!("{all} orders of events, with {preemptions} preemptions at most");
}

/// How many orders of events there were.
fn explore(preemptions: usize, model: fn()) -> usize {
    static TRIED: AtomicUsize = AtomicUsize::new(0);
    TRIED.store(0, Ordering::Relaxed);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        TRIED.fetch_add(1, Ordering::Relaxed);
        model();
    });
    TRIED.load(Ordering::Relaxed)
}

//! On the process's main thread: which loop is found, before, inside and after.
#![deny(warnings)]

use loopbind::{EventLoop, get_bound_loop, get_event_loop, loop_main, main_loop};

#[loop_main(name = "ui")]
async fn inside() -> EventLoop {
    let event_loop = get_event_loop().expect("a loop runs here");
    assert_eq!(event_loop.name(), Some("ui"));
    assert_eq!(main_loop().expect("this one").id(), event_loop.id());
    event_loop
}

fn main() {
    assert!(main_loop().is_none());
    let first = inside();
    assert!(first.is_closed());
    assert!(main_loop().is_none());
    assert!(get_bound_loop().is_none());

    // The attribute restores what was there: nothing. So the main thread still makes a loop at the first lookup.
    let made = get_event_loop().expect("the main thread makes one");
    assert_eq!(main_loop().expect("the one just made").id(), made.id());

    assert_ne!(inside(), made);
    assert_eq!(get_bound_loop().as_ref(), Some(&made));
    assert_eq!(main_loop().expect("again the former one").id(), made.id());
}

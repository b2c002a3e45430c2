//! A task that has its own handle, which has the task: the close of the loop must break that.
//!
//! LeakSanitizer must find: a close that drops no tasks.

use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use loopbind::{EventLoop, Task};

fn main() {
    // On a thread that is gone then: what lies about on a stack is taken for a reference.
    std::thread::spawn(life).join().unwrap();
}

fn life() {
    let event_loop = EventLoop::new().unwrap();
    let handle: Rc<RefCell<Option<Task<()>>>> = Rc::default();
    let own = Rc::clone(&handle);
    let task = event_loop.create_task(async move {
        let _own = own;
        pending::<()>().await;
    });
    handle.replace(Some(task));
    drop(handle);
    event_loop.turn(Some(Duration::ZERO)).unwrap();
    event_loop.close().unwrap();
}

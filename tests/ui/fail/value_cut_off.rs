//! Where a value ends too early, the error is at the last thing that is there.

#[loopbind::loop_main(debug, name = String::from("ui") +)]
async fn start() {}

#[loopbind::loop_thread(spawn, stack_size = 1 <<)]
fn worker() {}

fn main() {}

//! Where a value is wrong inside of parentheses, the error is at the token there, also if nothing comes behind them.

#[loopbind::loop_thread(spawn, name = String::from(1 2))]
fn worker() {}

#[loopbind::loop_main(builder = EventLoop::builder().name(1 +))]
async fn start() {}

#[loopbind::loop_main(debug = if (true))]
fn main() {}

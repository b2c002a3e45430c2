//! Only a function can run.

use loopbind::loop_main;

#[loop_main]
struct App;

fn main() {
    let _ = App;
}

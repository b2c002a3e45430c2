//! A method is not the start of a program.

use loopbind::loop_main;

struct App;

impl App {
    #[loop_main]
    async fn run(&self) -> u32 {
        1
    }
}

fn main() {
    let _: u32 = App.run();
}

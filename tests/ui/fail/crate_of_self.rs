//! The crate is found by a path of modules.

struct Place;

impl Place {
    #[loopbind::loop_thread(crate = Self::loopbind, debug)]
    async fn work() {}
}

fn main() {}

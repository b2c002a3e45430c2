//! A method is no test.

use loopbind::loop_test;

struct Suite;

impl Suite {
    #[loop_test]
    async fn check(self) {}
}

fn main() {
    Suite.check();
}

//! The option that permits what looks like a nested run.
#![deny(
    warnings,
    missing_docs,
    clippy::all,
    clippy::pedantic,
    rust_2018_idioms,
    unused_qualifications,
    unreachable_pub
)]
#![forbid(unsafe_code)]

struct Machine;

impl Machine {
    fn run_forever(&self) -> u32 {
        let Machine = self;
        1
    }
}

#[loopbind::loop_main(allow_nested_run)]
async fn main() {
    std::future::ready(()).await;
    assert_eq!(Machine.run_forever(), 1);
    std::thread::spawn(elsewhere).join().expect("it ends");
}

#[loopbind::loop_main]
async fn elsewhere() {
    // Not in the body's own braces, so for the loop itself to refuse.
    let run = |machine: Machine| machine.run_forever();
    {
        assert_eq!(Machine.run_forever(), 1);
    }
    assert_eq!(Machine.run_forever(), run(std::future::ready(Machine).await));
}

#[loopbind::loop_main]
#[expect(dead_code, reason = "a plain function may run what it likes")]
fn plain() -> u32 {
    Machine.run_forever()
}

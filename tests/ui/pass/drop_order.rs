//! Arguments are dropped with the body, last one first, as those of an `async fn` are; also those the body does not name.
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

use std::cell::RefCell;
use std::rc::Rc;

struct Noisy(&'static str, Rc<RefCell<Vec<&'static str>>>);

impl Drop for Noisy {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

macro_rules! bodies {
    ($($attribute:meta)?, $name:ident, $method:ident) => {
        $(#[$attribute])?
        async fn $name(first: Noisy, _second: Noisy, _: Noisy, (fourth, _): (Noisy, Noisy)) {
            let _local = Noisy("local", Rc::clone(&first.1));
            std::future::ready(()).await;
            fourth.1.borrow_mut().push("end");
        }

        impl Noisy {
            $(#[$attribute])?
            async fn $method(self, first: Noisy, _second: Noisy, _: Noisy, (fourth, _): (Noisy, Noisy)) {
                let _local = Noisy("local", Rc::clone(&first.1));
                std::future::ready(()).await;
                fourth.1.borrow_mut().push("end");
            }
        }
    };
}

bodies!(loopbind::loop_thread, annotated, annotated_method);
bodies!(, plain, plain_method);

fn traced(body: impl FnOnce(&dyn Fn(&'static str) -> Noisy)) -> Vec<&'static str> {
    let trace = Rc::new(RefCell::new(Vec::new()));
    body(&|name| Noisy(name, Rc::clone(&trace)));
    trace.take()
}

fn poll(future: impl Future<Output = ()>) {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_ready());
}

fn main() {
    let expected = traced(|n| poll(plain(n("1"), n("2"), n("3"), (n("4"), n("5")))));
    let got = traced(|n| annotated(n("1"), n("2"), n("3"), (n("4"), n("5"))));
    assert_eq!(got, expected);
    assert_eq!(got[..2], ["end", "local"]);

    let expected = traced(|n| poll(n("0").plain_method(n("1"), n("2"), n("3"), (n("4"), n("5")))));
    let got = traced(|n| n("0").annotated_method(n("1"), n("2"), n("3"), (n("4"), n("5"))));
    assert_eq!(got, expected);
}

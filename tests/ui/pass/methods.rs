//! A receiver of any kind.
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

use loopbind::loop_thread;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

struct Counter {
    count: u32,
}

impl Counter {
    #[loop_thread]
    async fn made(count: u32) -> Self {
        std::future::ready(Self { count }).await
    }

    #[loop_thread]
    async fn shared(&self, more: u32) -> u32 {
        self.count + std::future::ready(more).await
    }

    #[loop_thread]
    async fn mutable(&mut self, more: u32) -> &mut u32 {
        self.count += std::future::ready(more).await;
        &mut self.count
    }

    #[loop_thread]
    async fn counted(self: Rc<Self>, text: &str) -> Result<u32, Box<dyn std::error::Error>> {
        std::future::ready(()).await;
        if text.is_empty() {
            return Err("nothing".into());
        }
        let parsed: u32 = text.parse()?;
        Ok(self.count + parsed)
    }

    #[loop_thread]
    async fn taken(mut self) -> u32 {
        self.count += std::future::ready(1).await;
        self.count
    }

    #[loop_thread]
    fn plain(&self, names: RefCell<Vec<u32>>) -> usize {
        let _ = self.count;
        names.borrow().len()
    }

    #[loop_thread]
    async fn opaque(&self) -> impl Fn() -> u32 + '_ {
        std::future::ready(()).await;
        || self.count
    }

    #[loop_thread(spawn)]
    async fn away(self, more: u32) -> Self {
        let count = self.count + std::future::ready(more).await;
        Self { count }
    }
}

trait Work {
    fn number(&self) -> u32;

    fn work(&self) -> u32;

    #[loop_thread]
    async fn twice(&self) -> u32 {
        std::future::ready(2).await * self.number()
    }
}

impl Work for Cell<u32> {
    fn number(&self) -> u32 {
        self.get()
    }

    #[loop_thread]
    async fn work(&self) -> u32 {
        std::future::ready(self.get()).await
    }
}

fn main() {
    let mut counter = Counter::made(1);
    assert_eq!(counter.shared(1), 2);
    *counter.mutable(1) += 1;
    assert_eq!(counter.opaque()(), 3);
    assert_eq!(counter.plain(RefCell::new(vec![1])), 1);
    let shared = Rc::new(Counter::made(1));
    assert_eq!(Rc::clone(&shared).counted("4").expect("a number"), 5);
    assert!(shared.counted("").is_err());
    assert_eq!(counter.taken(), 4);
    let away = Counter { count: 1 }.away(2).join().expect("it ends");
    assert_eq!(away.count, 3);
    assert_eq!(Cell::new(3).twice(), 6);
    assert_eq!(Cell::new(3).work(), 3);
}

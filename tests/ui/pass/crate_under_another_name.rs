//! A path to the crate, for a dependency that was renamed or re-exported.
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

mod prelude {
    pub(crate) use ::loopbind as lb;
}

use prelude::lb;

#[lb::loop_main(crate = lb)]
async fn main() {
    std::future::ready(()).await;
    worker(1).join().expect("it ends");
    std::thread::spawn(inner::here).join().expect("it ends");
}

#[lb::loop_thread(crate = crate::prelude::lb, spawn)]
async fn worker(number: u32) -> u32 {
    std::future::ready(number).await
}

#[lb::loop_test(crate = prelude::lb)]
async fn check() {
    std::future::ready(()).await;
}

mod inner {
    mod reexport {
        pub(super) use loopbind as lb;
    }

    #[reexport::lb::loop_main(crate = self::reexport::lb)]
    pub(crate) fn here() {}
}

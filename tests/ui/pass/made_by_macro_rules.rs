//! A function that a macro makes, with its name, visibility, arguments and body from outside.
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

macro_rules! worker {
    ($(#[$attribute:meta])* $visibility:vis $name:ident($argument:ident: $ty:ty) -> $output:ty $body:block) => {
        $(#[$attribute])*
        #[loopbind::loop_thread(name = stringify!($name))]
        $visibility async fn $name($argument: $ty, hidden: u32) -> $output {
            let hidden = hidden + 1;
            let _ = std::future::ready(hidden).await;
            $body
        }
    };
    (body $name:ident $body:block) => {
        #[loopbind::loop_thread]
        async fn $name() -> u32 $body
    };
    (in $krate:path) => {
        #[loopbind::loop_thread(crate = $krate)]
        async fn given() -> u32 { std::future::ready(9).await }
    };
    (method $this:ident $name:ident $body:expr) => {
        #[loopbind::loop_thread]
        async fn $name(&$this, more: u32) -> u32 { std::future::ready($body + more).await }
    };
}

worker!(
    /// Doubles.
    pub(crate) double(number: u32) -> u32 {
        number * 2
    }
);
worker!(body seven {
    std::future::ready(7).await
});
worker!(in loopbind);

struct Number(u32);

impl Number {
    worker!(method self get self.0);
}

fn main() {
    assert_eq!(double(4, 0), 8);
    assert_eq!(seven(), 7);
    assert_eq!(given(), 9);
    assert_eq!(Number(1).get(1), 2);
}

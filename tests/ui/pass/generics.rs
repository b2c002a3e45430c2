//! Types, constants, lifetimes and bounds go through.
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

use loopbind::{loop_main, loop_thread};
use std::fmt::{Debug, Display};

#[loop_thread]
async fn first<'a, T, const N: usize>(values: &'a [T; N], label: impl Display) -> (&'a T, String)
where
    T: Debug + Clone,
{
    std::future::ready(()).await;
    (&values[0], format!("{label}{N}{values:?}"))
}

#[loop_thread]
async fn only_named<T: Default, const N: usize>() -> [T; N] {
    std::future::ready(()).await;
    std::array::from_fn(|_| T::default())
}

#[loop_thread]
async fn opaque<'a>(text: &'a str, other: &str) -> impl Display + use<'a> {
    std::future::ready(other.len()).await;
    text
}

#[loop_thread]
async fn elided(text: &mut Vec<String>) -> &str {
    text.push(String::from("last"));
    std::future::ready(()).await;
    &text[0]
}

#[loop_main]
async fn main() {
    std::future::ready(()).await;
    std::thread::spawn(|| {
        assert_eq!(first(&[1, 2], "n"), (&1, String::from("n2[1, 2]")));
        assert_eq!(only_named::<u8, 3>(), [0; 3]);
        assert_eq!(opaque("text", "other").to_string(), "text");
        assert_eq!(elided(&mut vec![String::from("first")]), "first");
    })
    .join()
    .expect("the loops of another thread");
}

//! What a thread gives back, in every form.
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

use std::fmt::Display;
use std::sync::Arc;

#[loopbind::loop_thread(spawn)]
async fn nothing() {
    std::future::ready(()).await;
}

#[loopbind::loop_thread(spawn)]
fn plain(names: Vec<String>) -> Result<usize, std::num::ParseIntError> {
    Ok(names.len() + "1".parse::<usize>()?)
}

#[loopbind::loop_thread(spawn)]
async fn opaque(value: impl Display + Send + 'static) -> impl Display + Send {
    std::future::ready(()).await;
    value.to_string()
}

#[loopbind::loop_thread(spawn)]
async fn generic<T, const N: usize>(value: T) -> [T; N]
where
    T: Clone + Send + 'static,
{
    std::future::ready(()).await;
    std::array::from_fn(|_| value.clone())
}

#[loopbind::loop_thread(spawn)]
async fn not_send_inside(shared: Arc<u32>, word: &'static str) -> usize {
    let local = std::rc::Rc::new(word);
    std::future::ready(()).await;
    local.len() + *shared as usize
}

fn main() {
    nothing().join().expect("it ends");
    let names = vec![String::new()];
    assert_eq!(plain(names).join().expect("it ends"), Ok(2));
    assert_eq!(opaque(5).join().expect("it ends").to_string(), "5");
    assert_eq!(generic::<u8, 2>(7).join().expect("it ends"), [7, 7]);
    let shared = Arc::new(1);
    assert_eq!(not_send_inside(shared, "two").join().expect("it ends"), 4);
}

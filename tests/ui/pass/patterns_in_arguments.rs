//! Arguments may be any pattern, mutable or ignored.
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

struct Point {
    x: u32,
    y: u32,
}

#[loopbind::loop_thread]
async fn sum(
    mut total: u32,
    (a, b): (u32, u32),
    Point { x, y }: Point,
    _: String,
    _unused: u8,
    [first, ..]: [u32; 3],
    &borrowed: &u32,
) -> u32 {
    total += std::future::ready(a + b).await;
    total + x + y + first + borrowed
}

fn main() {
    let point = Point { x: 8, y: 16 };
    assert_eq!(sum(1, (2, 4), point, String::new(), 0, [32, 0, 0], &64), 127);
}

//! Every other attribute stays where it is and counts once.
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

/// Documentation above.
#[must_use]
#[loopbind::loop_main]
/// And below.
#[inline]
#[track_caller]
pub async fn above_and_below() -> u32 {
    std::future::ready(1).await
}

#[expect(unused_variables, reason = "the lint is told of the user's function")]
#[loopbind::loop_main]
#[expect(clippy::needless_pass_by_value)]
async fn expected(unused: u32, text: String) {
    std::future::ready(text.len()).await;
}

#[expect(dead_code, reason = "nobody calls it")]
#[loopbind::loop_main]
async fn dead() {}

#[loopbind::loop_main]
#[expect(unreachable_code)]
async fn in_the_body() {
    std::future::ready(()).await;
    return;
    println!("never");
}

#[cfg_attr(all(), loopbind::loop_main)]
async fn conditional() -> u32 {
    std::future::ready(2).await
}

#[cfg(any())]
#[loopbind::loop_main]
async fn absent() -> Missing {}

#[loopbind::loop_main]
#[cfg(any())]
async fn absent_too() -> Missing {}

#[deprecated]
#[loopbind::loop_main]
async fn old() {}

#[loopbind::loop_test]
#[should_panic = "below"]
async fn panics_below() {
    panic!("below");
}

#[should_panic = "above"]
#[loopbind::loop_test]
async fn panics_above() {
    panic!("above");
}

#[ignore = "not now"]
#[loopbind::loop_test]
async fn ignored() {}

#[loopbind::loop_test]
#[test]
async fn one_test() {}

fn main() {
    assert_eq!(above_and_below(), 1);
    assert_eq!(conditional(), 2);
    expected(1, String::new());
    in_the_body();
    #[expect(deprecated)]
    old();
}

//! ```text
//! #[loop_test(seeds = 0..8)]
//! async fn check(case: Case, _: u32) {}
//! ```

#[::loopbind::__private::core::prelude::v1::test]
fn check(case: Case, __loopbind_argument_1: u32) {
    async fn __loopbind_body(case: Case, _: u32) {}
    use ::loopbind::__private as __loopbind;
    __loopbind::run_test(
        __loopbind::Setup::new("check").seeds(0..8),
        move || {
            __loopbind_body(
                __loopbind::core::clone::Clone::clone(&case),
                __loopbind::core::clone::Clone::clone(&__loopbind_argument_1),
            )
        },
        |__loopbind_output| {
            use __loopbind::{OutcomeOfAny as _, OutcomeOfResult as _};
            (&__loopbind::Outcome(__loopbind_output)).__loopbind_failed()
        },
    )
}

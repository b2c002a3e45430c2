//! ```text
//! #[loop_test()]
//! #[test]
//! fn check(case: u32) {}
//! ```

#[test]
fn check(case: u32) {
    fn __loopbind_body(case: u32) {}
    use ::loopbind::__private as __loopbind;
    let mut case = __loopbind::core::option::Option::Some(case);
    __loopbind::run_plain_test(
        __loopbind::Setup::new("check"),
        move || {
            __loopbind_body(
                __loopbind::core::option::Option::take(&mut case)
                    .expect("a test without `seeds` runs once"),
            )
        },
        |__loopbind_output| {
            use __loopbind::{OutcomeOfAny as _, OutcomeOfResult as _};
            (&__loopbind::Outcome(__loopbind_output)).__loopbind_failed()
        },
    )
}

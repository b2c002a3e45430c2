//! ```text
//! #[loop_test(virtual_time, seeds = 0..64, timeout = "1500ms")]
//! #[should_panic]
//! async fn check() -> Result<(), Error> {
//!     Ok(())
//! }
//! ```

#[should_panic]
#[allow(clippy::result_large_err)]
#[::loopbind::__private::core::prelude::v1::test]
fn check() -> Result<(), Error> {
    async fn __loopbind_body() -> Result<(), Error> {
        Ok(())
    }
    use ::loopbind::__private as __loopbind;
    __loopbind::run_test(
        __loopbind::Setup::new("check")
            .virtual_time()
            .seeds(0..64)
            .timeout(__loopbind::core::time::Duration::new(1u64, 500000000u32)),
        move || { __loopbind_body() },
        |__loopbind_output| {
            use __loopbind::{OutcomeOfAny as _, OutcomeOfResult as _};
            (&__loopbind::Outcome(__loopbind_output)).__loopbind_failed()
        },
    )
}

//! ```text
//! #[loop_thread()]
//! async fn work(&self) -> impl Fn() -> u32 + '_ {
//!     || self.count
//! }
//! ```

#[allow(clippy::must_use_candidate, clippy::trivially_copy_pass_by_ref)]
fn work(&self) -> impl Fn() -> u32 + '_ {
    use ::loopbind::__private as __loopbind;
    __loopbind::run_thread(
        __loopbind::Setup::new("work"),
        move || {
            async move {
                let _ = &self;
                let __loopbind_result = { || self.count };
                __loopbind_result
            }
        },
    )
}

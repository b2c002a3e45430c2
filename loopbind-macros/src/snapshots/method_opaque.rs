//! ```text
//! #[loop_thread()]
//! async fn work(&self) -> impl Fn() -> u32 + '_ {
//!     || self.count
//! }
//! ```

#[allow(clippy::async_yields_async, clippy::trivially_copy_pass_by_ref)]
fn work(&self) -> impl Fn() -> u32 + '_ {
    use ::loopbind::__private as __loopbind;
    const __LOOPBIND_EFFECT: [(); 0] = [];
    let _: &mut [(); 0] = &mut __LOOPBIND_EFFECT;
    __loopbind::run_thread(
        __loopbind::Setup::new("work"),
        move || {
            async move {
                let _ = &self;
                match () {
                    () => || self.count,
                }
            }
        },
    )
}

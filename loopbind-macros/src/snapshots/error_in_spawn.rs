//! ```text
//! #[loop_thread(spawn = true)]
//! pub async fn worker() -> u32 {
//!     1
//! }
//! ```

::core::compile_error! {
    "`spawn` takes no value: write `spawn`"
}
pub fn worker() -> ::loopbind::__private::LoopThread<u32> {
    async fn __loopbind_body() -> u32 {
        1
    }
    use ::loopbind::__private as __loopbind;
    const __LOOPBIND_EFFECT: [(); 0] = [];
    let _: &mut [(); 0] = &mut __LOOPBIND_EFFECT;
    __loopbind::spawn_thread(
        __loopbind::Setup::new("worker"),
        move || { __loopbind_body() },
    )
}

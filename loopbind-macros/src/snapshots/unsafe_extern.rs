//! ```text
//! #[loop_thread()]
//! #[unsafe(no_mangle)]
//! pub async unsafe extern "C" fn callback(pointer: *const u8) -> u8 {
//!     *pointer
//! }
//! ```

#[unsafe(no_mangle)]
pub unsafe extern "C" fn callback(pointer: *const u8) -> u8 {
    async unsafe fn __loopbind_body(pointer: *const u8) -> u8 {
        *pointer
    }
    use ::loopbind::__private as __loopbind;
    const __LOOPBIND_EFFECT: [(); 0] = [];
    let _: &mut [(); 0] = &mut __LOOPBIND_EFFECT;
    __loopbind::run_thread(
        __loopbind::Setup::new("callback"),
        move || { unsafe { __loopbind_body(pointer) } },
    )
}

//! ```text
//! #[loop_thread()]
//! #[unsafe(no_mangle)]
//! pub async unsafe extern "C" fn callback(pointer: *const u8) -> u8 {
//!     *pointer
//! }
//! ```

#[allow(clippy::must_use_candidate, clippy::trivially_copy_pass_by_ref)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn callback(pointer: *const u8) -> u8 {
    #[allow(
        clippy::borrowed_box,
        clippy::box_collection,
        clippy::fn_params_excessive_bools,
        clippy::large_types_passed_by_value,
        clippy::linkedlist,
        clippy::needless_pass_by_ref_mut,
        clippy::option_option,
        clippy::owned_cow,
        clippy::rc_buffer,
        clippy::rc_mutex,
        clippy::redundant_allocation,
        clippy::ref_option,
        clippy::unnecessary_box_returns,
        clippy::unnecessary_wraps,
        clippy::vec_box,
    )]
    async unsafe fn __loopbind_body(pointer: *const u8) -> u8 {
        *pointer
    }
    use ::loopbind::__private as __loopbind;
    __loopbind::run_thread(
        __loopbind::Setup::new("callback"),
        move || { unsafe { __loopbind_body(pointer) } },
    )
}

//! ```text
//! #[loop_thread(name = format!("io-{}", 1), debug = cfg!(test), crate = my::loopbind, allow_nested_run)]
//! /// Works.
//! #[inline]
//! pub(crate) async fn worker() -> u32 {
//!     1
//! }
//! ```

#[allow(clippy::must_use_candidate, clippy::trivially_copy_pass_by_ref)]
/// Works.
#[inline]
pub(crate) fn worker() -> u32 {
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
    async fn __loopbind_body() -> u32 {
        1
    }
    use my::loopbind::__private as __loopbind;
    __loopbind::run_thread(
        __loopbind::Setup::new("worker").name(format!("io-{}", 1)).debug(cfg!(test)),
        move || { __loopbind_body() },
    )
}

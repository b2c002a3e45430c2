//! ```text
//! #[loop_thread(name = format!("io-{}", 1), debug = cfg!(test), crate = my::loopbind, allow_nested_run)]
//! /// Works.
//! #[inline]
//! pub(crate) async fn worker() -> u32 {
//!     1
//! }
//! ```

/// Works.
#[inline]
pub(crate) fn worker() -> u32 {
    async fn __loopbind_body() -> u32 {
        1
    }
    use my::loopbind::__private as __loopbind;
    __loopbind::run_thread(
        __loopbind::Setup::new("worker").name(format!("io-{}", 1)).debug(cfg!(test)),
        move || { __loopbind_body() },
    )
}

//! ```text
//! #[loop_main()]
//! async fn main() {
//!     work().await;
//! }
//! ```

#[allow(clippy::must_use_candidate, clippy::trivially_copy_pass_by_ref)]
fn main() {
    async fn __loopbind_body() {
        work().await;
    }
    use ::loopbind::__private as __loopbind;
    __loopbind::run_main(__loopbind::Setup::new("main"), move || { __loopbind_body() })
}

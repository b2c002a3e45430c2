//! ```text
//! #[loop_main()]
//! async fn main() {
//!     work().await;
//! }
//! ```

fn main() {
    async fn __loopbind_body() {
        work().await;
    }
    use ::loopbind::__private as __loopbind;
    __loopbind::run_main(__loopbind::Setup::new("main"), move || { __loopbind_body() })
}

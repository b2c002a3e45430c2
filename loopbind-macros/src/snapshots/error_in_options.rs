//! ```text
//! #[loop_main(name = 5, debug)]
//! async fn main() {
//!     work().await;
//! }
//! ```

::core::compile_error! {
    "`name` takes a string: write `name = \"ui\"`"
}
fn main() {
    async fn __loopbind_body() {
        work().await;
    }
    use ::loopbind::__private as __loopbind;
    __loopbind::run_main(
        __loopbind::Setup::new("main").debug(true),
        move || { __loopbind_body() },
    )
}

//! ```text
//! #[loop_test(virtual_time)]
//! pub struct Suite {
//!     number: u32,
//! }
//! ```

::core::compile_error! {
    "`#[loop_test]` goes on a function: `async fn` or `fn`"
}
pub struct Suite {
    number: u32,
}

//! ```text
//! #[loop_thread()]
//! /// Works.
//! pub const fn worker(number: u32) -> u32 {
//!     number
//! }
//! ```

::core::compile_error! {
    "`#[loop_thread]` makes a loop, which a `const fn` cannot: remove `const`"
}
/// Works.
pub const fn worker(number: u32) -> u32 {
    ::core::unimplemented!()
}

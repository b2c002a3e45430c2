//! ```text
//! #[loop_main(name = "ui", debug, builder = builder())]
//! pub fn start(number: u32) -> Result<(), Error> {
//!     Ok(())
//! }
//! ```

pub fn start(number: u32) -> Result<(), Error> {
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
    fn __loopbind_body(number: u32) -> Result<(), Error> {
        Ok(())
    }
    use ::loopbind::__private as __loopbind;
    __loopbind::bind_main(
        __loopbind::Setup::new("start").name("ui").debug(true).builder(builder()),
        move || { __loopbind_body(number) },
    )
}

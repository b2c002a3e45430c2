//! ```text
//! #[loop_main(name = "ui", debug, builder = builder())]
//! pub fn start(number: u32) -> Result<(), Error> {
//!     Ok(())
//! }
//! ```

pub fn start(number: u32) -> Result<(), Error> {
    #[allow(clippy::unnecessary_wraps)]
    fn __loopbind_body(number: u32) -> Result<(), Error> {
        Ok(())
    }
    use ::loopbind::__private as __loopbind;
    __loopbind::bind_main(
        __loopbind::Setup::new("start").name("ui").debug(true).builder(builder()),
        move || { __loopbind_body(number) },
    )
}

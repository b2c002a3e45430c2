//! ```text
//! #[loop_main(name = "ui", debug, spin = "50us", builder = builder())]
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
        __loopbind::Setup::new("start")
            .name("ui")
            .debug(true)
            .spin(__loopbind::core::time::Duration::new(0u64, 50000u32))
            .builder(builder()),
        move || { __loopbind_body(number) },
    )
}

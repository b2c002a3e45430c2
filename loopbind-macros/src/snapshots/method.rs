//! ```text
//! #[loop_thread()]
//! async fn work(&mut self, count: u32, (a, _): (u8, u8)) -> Result<Self, Error> {
//!     #![allow(unused)]
//!     self.count += count;
//!     todo!()
//! }
//! ```

#[allow(
    clippy::result_large_err,
    clippy::missing_errors_doc,
    clippy::return_self_not_must_use,
    clippy::trivially_copy_pass_by_ref
)]
fn work(&mut self, count: u32, __loopbind_argument_1: (u8, u8)) -> Result<Self, Error> {
    #![allow(unused)]
    use ::loopbind::__private as __loopbind;
    const __LOOPBIND_EFFECT: [(); 0] = [];
    let _: &mut [(); 0] = &mut __LOOPBIND_EFFECT;
    __loopbind::run_thread(
        __loopbind::Setup::new("work"),
        async move || -> Result<Self, Error> {
            let _ = &self;
            let count = count;
            let __loopbind_argument_1 = __loopbind_argument_1;
            let (a, _) = __loopbind_argument_1;
            match () {
                () => {
                    self.count += count;
                    todo!()
                }
            }
        },
    )
}

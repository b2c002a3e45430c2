//! ```text
//! #[loop_thread()]
//! async fn work(&mut self, count: u32, (a, _): (u8, u8)) -> Result<Self, Error> {
//!     #![allow(unused)]
//!     self.count += count;
//!     todo!()
//! }
//! ```

#[allow(clippy::must_use_candidate, clippy::trivially_copy_pass_by_ref)]
fn work(&mut self, count: u32, __loopbind_argument_1: (u8, u8)) -> Result<Self, Error> {
    #![allow(unused)]
    use ::loopbind::__private as __loopbind;
    __loopbind::run_thread(
        __loopbind::Setup::new("work"),
        async move || -> Result<Self, Error> {
            let _ = &self;
            let count = count;
            let __loopbind_argument_1 = __loopbind_argument_1;
            let (a, _) = __loopbind_argument_1;
            let __loopbind_result: Result<Self, Error> = {
                self.count += count;
                todo!()
            };
            __loopbind_result
        },
    )
}

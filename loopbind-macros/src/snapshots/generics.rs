//! ```text
//! #[loop_thread()]
//! async fn first<'a, T: Clone, const N: usize>(values: &'a [T; N], mut label: impl Display, (_, b): (u8, u8), _: u8) -> &'a T
//! where
//!     T: Debug,
//! {
//!     &values[0]
//! }
//! ```

#[allow(clippy::needless_lifetimes, clippy::trivially_copy_pass_by_ref)]
fn first<'a, T: Clone, const N: usize>(
    values: &'a [T; N],
    label: impl Display,
    __loopbind_argument_2: (u8, u8),
    __loopbind_argument_3: u8,
) -> &'a T
where
    T: Debug,
{
    #[allow(clippy::needless_pass_by_ref_mut)]
    async fn __loopbind_body<'a, T: Clone, const N: usize>(
        values: &'a [T; N],
        mut label: impl Display,
        (_, b): (u8, u8),
        _: u8,
    ) -> &'a T
    where
        T: Debug,
    {
        &values[0]
    }
    use ::loopbind::__private as __loopbind;
    __loopbind::run_thread(
        __loopbind::Setup::new("first"),
        move || {
            __loopbind_body::<
                T,
                N,
            >(values, label, __loopbind_argument_2, __loopbind_argument_3)
        },
    )
}

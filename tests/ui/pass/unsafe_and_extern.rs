//! `unsafe`, `extern` and `-> !`.
#![deny(warnings)]

/// Reads.
///
/// # Safety
///
/// The pointer is valid.
#[loopbind::loop_thread]
async unsafe fn read(pointer: *const u32) -> u32 {
    std::future::ready(()).await;
    unsafe { *pointer }
}

#[loopbind::loop_thread]
async extern "C" fn callback(number: u32) -> u32 {
    std::future::ready(number).await
}

#[loopbind::loop_thread]
unsafe extern "C" fn plain(number: u32) -> u32 {
    number
}

#[loopbind::loop_thread]
async fn ends() -> ! {
    std::future::ready(()).await;
    std::process::exit(0)
}

#[loopbind::loop_thread(spawn)]
async fn ends_elsewhere(code: i32) -> ! {
    std::future::ready(()).await;
    std::process::exit(code)
}

fn main() {
    let number = 5;
    assert_eq!(unsafe { read(&number) }, 5);
    let function: extern "C" fn(u32) -> u32 = callback;
    assert_eq!(function(6), 6);
    assert_eq!(unsafe { plain(7) }, 7);
    if number == 6 {
        let _ = ends_elsewhere(1).join();
    }
    ends()
}

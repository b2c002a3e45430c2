//! The one room that talks to the operating system.

mod process;

#[cfg(target_os = "linux")]
#[path = "epoll.rs"]
mod driver;
#[cfg(not(target_os = "linux"))]
#[path = "portable.rs"]
mod driver;

pub(crate) use driver::{Bell, Driver};
pub(crate) use process::{
    current_thread, forks, is_main_thread, lock_after_fork, pin_to_core, watch_forks,
};

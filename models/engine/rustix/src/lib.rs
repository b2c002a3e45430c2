//! Takes the place of rustix for the runtime, under its name. Descriptors are the system's own, an epoll and its
//! eventfd with all that is said of edges; only that a thread which waits for them does not stop the others,
//! because the scheduler's threads are one to the system: it looks again when somebody has written.

pub use ::rustix::*;

shuttle::lazy_static! {
    /// Told of each write.
    static ref WORLD: World = World::default();
}

#[derive(Default)]
struct World {
    writing: shuttle::sync::Mutex<()>,
    written: shuttle::sync::Condvar,
}

pub mod io {
    pub use ::rustix::io::*;

    pub fn write(fd: impl ::rustix::fd::AsFd, bytes: &[u8]) -> Result<usize> {
        let _writing = crate::WORLD.writing.lock().expect("nobody panics in here");
        let written = ::rustix::io::write(fd, bytes);
        crate::WORLD.written.notify_all();
        written
    }
}

pub mod event {
    pub use ::rustix::event::*;

    pub mod epoll {
        use std::time::Duration;

        pub use ::rustix::event::epoll::*;

        use ::rustix::buffer::Buffer;
        use ::rustix::event::{PollFd, PollFlags, Timespec, poll};
        use ::rustix::fd::AsFd;

        use crate::WORLD;

        const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

        pub fn wait<B: Buffer<Event>>(
            epoll: impl AsFd,
            events: B,
            limit: Option<&Timespec>,
        ) -> ::rustix::io::Result<B::Output> {
            let has_come = || {
                let mut watched = [PollFd::new(&epoll, PollFlags::IN)];
                poll(&mut watched, Some(&AT_ONCE)).expect("a descriptor that is open") > 0
            };
            match limit {
                Some(limit) => {
                    let limit = Duration::new(limit.tv_sec as u64, limit.tv_nsec as u32);
                    if !limit.is_zero() {
                        model_std::time::wait(limit, has_come);
                    }
                }
                None => {
                    let mut writing = WORLD.writing.lock().expect("nobody panics in here");
                    while !has_come() {
                        writing = WORLD.written.wait(writing).expect("nobody panics in here");
                    }
                }
            }
            ::rustix::event::epoll::wait(epoll, events, Some(&AT_ONCE))
        }
    }
}

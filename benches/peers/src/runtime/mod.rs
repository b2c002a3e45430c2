//! The peers. Each is set up as its documentation has a program do it, with its driver and its timers on, since a
//! loop of loopbind has both; what a workload asks of it is done with what it has itself, or what its users take.

mod compio;
mod glommio;
mod guest;
mod local_pool;
mod monoio;
mod smol;
mod tokio;

pub use compio::Compio;
pub use glommio::Glommio;
pub use guest::LoopbindAtTokio;
pub use local_pool::FuturesLocalPool;
pub use monoio::{MonoioEpoll, MonoioUring};
pub use smol::{AsyncExecutor, Smol};
pub use tokio::{TokioLocalRuntime, TokioLocalSet};

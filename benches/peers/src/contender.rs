//! A runtime whose type is forgotten.

use std::time::Duration;

use workloads::{Clock, Loopbind, LoopbindSpinning, Need, Runtime, Workload};

use crate::runtime::{
    AsyncExecutor, Compio, FuturesLocalPool, Glommio, LoopbindAtTokio, MonoioEpoll, MonoioUring,
    Smol, TokioLocalRuntime, TokioLocalSet,
};

pub struct Contender {
    pub name: &'static str,
    /// What its workloads are measured by, if not anything.
    pub only: Option<Clock>,
    pub lacks: fn(Need) -> Option<&'static str>,
    pub make: fn() -> Box<dyn Performer>,
}

pub trait Performer {
    fn perform(&mut self, workload: Workload, n: usize) -> Duration;
}

impl<R: Runtime> Performer for R {
    fn perform(&mut self, workload: Workload, n: usize) -> Duration {
        workload.perform(self, n)
    }
}

impl Contender {
    fn of<R: Runtime>() -> Self {
        Contender { name: R::NAME, only: None, lacks: R::lacks, make: || Box::new(R::new()) }
    }

    /// Whether there is anything that it does differently.
    pub fn is_asked(&self, workload: Workload) -> bool {
        self.only.is_none_or(|clock| clock == workload.clock())
    }

    pub fn is_ours(name: &str) -> bool {
        name.starts_with(<Loopbind>::NAME)
    }

    /// Why it cannot do this workload.
    pub fn lacks_for(&self, workload: Workload) -> Option<&'static str> {
        workload.needs().iter().find_map(|need| match need {
            Need::Lookup => (self.name != <Loopbind>::NAME).then_some("has no such function"),
            need => (self.lacks)(*need),
        })
    }
}

/// Ours first.
pub fn contenders() -> Vec<Contender> {
    vec![
        Contender::of::<Loopbind>(),
        // Where nothing comes from other threads nobody spins.
        Contender { only: Some(Clock::Wall), ..Contender::of::<LoopbindSpinning>() },
        Contender::of::<LoopbindAtTokio>(),
        Contender::of::<TokioLocalRuntime>(),
        Contender::of::<TokioLocalSet>(),
        Contender::of::<AsyncExecutor>(),
        Contender::of::<Smol>(),
        Contender::of::<FuturesLocalPool>(),
        Contender::of::<MonoioEpoll>(),
        Contender::of::<MonoioUring>(),
        Contender::of::<Compio>(),
        Contender::of::<Glommio>(),
    ]
}

//! Who goes on, by the dice: one task at a time, from one point to the next. A task that dies is dropped at a point,
//! as a process that is killed.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

/// A task of a schedule.
pub(crate) struct Task {
    pub(crate) name: String,
    /// Whether it may die.
    pub(crate) mortal: Mortal,
    pub(crate) work: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Whether a task may die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mortal {
    Yes,
    No,
}

/// Choices that follow from a seed alone (`SplitMix64`).
#[derive(Debug)]
pub(crate) struct Dice {
    state: Cell<u64>,
    deaths: Deaths,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deaths {
    Some,
    None,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: Cell::new(seed.wrapping_mul(0x2545_F491_4F6C_DD1D)), deaths: Deaths::Some }
    }

    /// Dice with which nobody dies.
    pub(crate) fn calm(seed: u64) -> Self {
        Self { deaths: Deaths::None, ..Self::new(seed) }
    }

    pub(crate) fn below(&self, limit: usize) -> usize {
        let state = self.state.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.state.set(state);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }

    fn kills(&self) -> bool {
        self.deaths == Deaths::Some && self.below(150) == 0
    }
}

/// The points of a schedule: where the running task stops and lets others go on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Points(Arc<State>);

#[derive(Debug, Default)]
struct State {
    passed: AtomicU64,
    trace: Mutex<Vec<String>>,
}

impl Points {
    /// Lets others go on.
    pub(crate) async fn point(&self, what: &str) {
        self.0.passed.fetch_add(1, Ordering::Relaxed);
        self.0.trace.lock().unwrap().push(what.to_owned());
        let arrived = AtomicBool::new(false);
        std::future::poll_fn(|_| {
            if arrived.swap(true, Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// What was done, in order.
    pub(crate) fn trace(&self) -> Vec<String> {
        self.0.trace.lock().unwrap().clone()
    }

    fn say(&self, what: String) {
        self.0.trace.lock().unwrap().push(what);
    }
}

/// Longer schedules go round in circles.
const LONGEST: usize = 50_000;

/// Runs all tasks to their end, or to their death.
pub(crate) fn run(dice: &Dice, points: &Points, tasks: Vec<Task>) {
    // The sweeper sets limits in time; nothing here takes any.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let tasks = RefCell::new(tasks);
    for _ in 0..LONGEST {
        let mut tasks = tasks.borrow_mut();
        if tasks.is_empty() {
            return;
        }
        let chosen = dice.below(tasks.len());
        points.say(format!("· {}", tasks[chosen].name));
        let ended = tasks[chosen].work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        let dies = !ended && tasks[chosen].mortal == Mortal::Yes && dice.kills();
        if ended || dies {
            let task = tasks.swap_remove(chosen);
            points.say(format!("{} {}", task.name, if dies { "dies" } else { "ends" }));
        }
    }
    panic!("the schedule does not come to an end");
}

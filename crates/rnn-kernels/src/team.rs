//! Threads that wait for their share of a kernel's work.
//!
//! A layer's forward and backward are a few parts of a millisecond each, with a little of the caller's own work in
//! between: waking a thread that sleeps takes as long as a tenth of such a part. So a thread that has done its part
//! watches for the next one for a while, always offering its core to whoever else wants it, before it goes to sleep;
//! and the caller waits in the same way.

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long a thread watches before it sleeps.
const PATIENCE: Duration = Duration::from_micros(200);
/// How often it looks before it offers its core to others.
const LOOKS: usize = 64;

/// All members. Whoever calls has them to itself.
static TEAM: Mutex<Vec<Member>> = Mutex::new(Vec::new());

/// A thread of the team, and where it is given its work.
struct Member {
    desk: Arc<Desk>,
    thread: Thread,
}

/// One number of the work that a caller has divided.
struct Task {
    work: *const (dyn Fn(usize) + Sync),
    number: usize,
    caller: Thread,
}

/// The place where the caller leaves a task for a member.
struct Desk {
    /// Whether the task is there and not yet done. While it is, the desk belongs to the member, else to the caller.
    busy: AtomicBool,
    task: UnsafeCell<Option<Task>>,
    panic: UnsafeCell<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `busy` says which thread may touch the cells, and hands over what was written to them.
unsafe impl Send for Desk {}
// SAFETY: as for `Send`.
unsafe impl Sync for Desk {}

/// Runs `work(0)` here and `work(1)`, `work(2)`, … `work(count - 1)` on the team's threads, and returns when all are
/// done. Where another caller has the team, or the system gives no more threads, all are run here.
///
/// # Panics
/// If one of them does, after all are done.
pub(crate) fn run(count: usize, work: &(dyn Fn(usize) + Sync)) {
    let mut team = match TEAM.try_lock() {
        Ok(team) => team,
        Err(TryLockError::Poisoned(team)) => team.into_inner(),
        Err(TryLockError::WouldBlock) => return alone(count, work),
    };
    while team.len() + 1 < count {
        match Member::hire() {
            Some(member) => team.push(member),
            None => {
                drop(team);
                return alone(count, work);
            }
        }
    }
    let members = &team[..count.saturating_sub(1)];
    // SAFETY: only the lifetime changes; no member has the task any more when this function returns.
    let work_for_all: *const (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(std::ptr::from_ref(work)) };
    for (i, member) in members.iter().enumerate() {
        let task = Task { work: work_for_all, number: i + 1, caller: thread::current() };
        // SAFETY: the desk is the caller's.
        unsafe { *member.desk.task.get() = Some(task) };
        member.desk.busy.store(true, Ordering::Release);
        member.thread.unpark();
    }
    let mut panic = match count {
        0 => None,
        _ => catch_unwind(AssertUnwindSafe(|| work(0))).err(),
    };
    for member in members {
        wait_until(|| !member.desk.busy.load(Ordering::Acquire));
        // SAFETY: the desk is the caller's again.
        panic = panic.or(unsafe { (*member.desk.panic.get()).take() });
    }
    drop(team);
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}

/// The same on this thread alone.
fn alone(count: usize, work: &(dyn Fn(usize) + Sync)) {
    let mut panic = None;
    for number in 0..count {
        panic = panic.or(catch_unwind(AssertUnwindSafe(|| work(number))).err());
    }
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}

impl Member {
    /// A new thread, or none if the system has none.
    fn hire() -> Option<Self> {
        let desk =
            Arc::new(Desk { busy: AtomicBool::new(false), task: UnsafeCell::new(None), panic: UnsafeCell::new(None) });
        let own = desk.clone();
        let thread = thread::Builder::new().name("rnn-kernels".into()).spawn(move || own.serve()).ok()?;
        Some(Self { desk, thread: thread.thread().clone() })
    }
}

impl Desk {
    fn serve(&self) {
        loop {
            wait_until(|| self.busy.load(Ordering::Acquire));
            // SAFETY: the desk is this member's now, and the caller waits until it is done with the work.
            let caller = unsafe {
                let task = (*self.task.get()).take();
                task.map(|Task { work, number, caller }| {
                    *self.panic.get() = catch_unwind(AssertUnwindSafe(|| (*work)(number))).err();
                    caller
                })
            };
            self.busy.store(false, Ordering::Release);
            if let Some(caller) = caller {
                caller.unpark();
            }
        }
    }
}

/// Returns as soon as `ready`. Who makes it so unparks this thread afterwards.
fn wait_until(ready: impl Fn() -> bool) {
    for _ in 0..LOOKS {
        if ready() {
            return;
        }
        std::hint::spin_loop();
    }
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if ready() {
            return;
        }
        thread::yield_now();
    }
    while !ready() {
        thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// How often each number below `count` was done.
    fn done(count: usize, work: impl Fn(usize) + Sync) -> Vec<usize> {
        let done: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
        run(count, &|i| {
            done[i].fetch_add(1, Ordering::Relaxed);
            work(i);
        });
        done.into_iter().map(AtomicUsize::into_inner).collect()
    }

    #[test]
    fn each_number_is_done_once() {
        for count in [0, 1, 2, 3, 8, 2, 5] {
            assert_eq!(done(count, |_| {}), vec![1; count]);
        }
    }

    #[test]
    fn callers_on_many_threads_and_within_a_task_get_their_work_done() {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..200).for_each(|_| assert_eq!(done(3, |_| assert_eq!(done(2, |_| {}), [1, 1])), [1; 3]))
                });
            }
        });
    }

    #[test]
    fn members_that_sleep_are_woken() {
        for pause in [0, 300, 1000] {
            thread::sleep(Duration::from_micros(pause));
            assert_eq!(done(3, |i| thread::sleep(Duration::from_micros(700 * i as u64))), [1; 3]);
        }
    }

    #[test]
    fn a_panic_comes_out_after_all_is_done() {
        for (bad, is_alone) in [0, 1, 2].into_iter().flat_map(|bad| [(bad, false), (bad, true)]) {
            let count = AtomicUsize::new(0);
            let work = |i: usize| {
                count.fetch_add(1, Ordering::Relaxed);
                assert!(i != bad, "number {i}");
            };
            let panic = catch_unwind(AssertUnwindSafe(|| if is_alone { alone(3, &work) } else { run(3, &work) }))
                .expect_err("one panics");
            assert_eq!(panic.downcast_ref::<String>().map(String::as_str), Some(&*format!("number {bad}")));
            assert_eq!(count.into_inner(), 3);
        }
        assert_eq!(done(3, |_| {}), [1; 3]);
    }
}

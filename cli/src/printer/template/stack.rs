//! Room for deep recursion. Go's stacks grow up to a gigabyte, and its limits on nesting rest on that.

use std::thread;

/// What is tried; memory is only taken when it is used.
const SIZES: [usize; 3] = [1 << 30, 256 << 20, 16 << 20];

/// What is left for calls between two looks at how much is left.
const MARGIN: usize = 1 << 20;

/// How far the stack reaches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stack {
    base: usize,
    size: usize,
}

impl Stack {
    fn here(size: usize) -> Self {
        Self {
            base: address(),
            size,
        }
    }

    /// Whether one more level of recursion fits.
    pub(super) fn has_room(&self) -> bool {
        self.base.abs_diff(address()) < self.size.saturating_sub(MARGIN)
    }
}

#[inline(never)]
fn address() -> usize {
    let here = 0u8;
    std::ptr::from_ref(std::hint::black_box(&here)).addr()
}

/// Runs work that may nest deeply.
pub(super) fn run<R: Send>(work: impl Fn(Stack) -> R + Send + Sync) -> R {
    for size in SIZES {
        let done = thread::scope(|scope| {
            thread::Builder::new()
                .stack_size(size)
                .spawn_scoped(scope, || work(Stack::here(size)))
                .ok()
                .map(thread::ScopedJoinHandle::join)
        });
        match done {
            Some(Ok(result)) => return result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => {}
        }
    }
    // No thread at all: a main thread's stack has at least this.
    work(Stack::here(4 << 20))
}

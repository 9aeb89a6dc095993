//! Runs several invocations at the same time, in one thread and always in the same order.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// How often a future is asked at most. In-memory ports answer at once, and pause once or twice on the way of
/// an invocation; whoever is not done by then waits for something that never comes.
const ROUNDS_MAX: usize = 10_000;

/// A future on its way to its result.
struct Running<F: Future> {
    future: Pin<Box<F>>,
    result: Option<F::Output>,
}

/// Runs futures side by side: each goes on until it pauses, then the next one does. Answers their results in
/// their order; `None` when one of them never ends.
pub(super) fn side_by_side<F: Future>(futures: impl IntoIterator<Item = F>) -> Option<Vec<F::Output>> {
    let begin = |future| Running {
        future: Box::pin(future),
        result: None,
    };
    let mut running: Vec<Running<F>> = futures.into_iter().map(begin).collect();
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..ROUNDS_MAX {
        let mut all_done = true;
        for it in running.iter_mut().filter(|it| it.result.is_none()) {
            match it.future.as_mut().poll(&mut context) {
                Poll::Ready(done) => it.result = Some(done),
                Poll::Pending => all_done = false,
            }
        }
        if all_done {
            return running.into_iter().map(|it| it.result).collect();
        }
    }
    None
}

/// Runs one future.
pub(super) fn alone<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..ROUNDS_MAX {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return Some(done);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::{pending, poll_fn};

    use super::*;

    #[test]
    fn futures_take_turns_and_answer_in_their_own_order() {
        let steps = RefCell::new(Vec::new());
        let pausing = |name: &'static str, pauses: usize| {
            let steps = &steps;
            let mut left = pauses;
            poll_fn(move |_| {
                steps.borrow_mut().push(name);
                if left == 0 {
                    return Poll::Ready(name);
                }
                left -= 1;
                Poll::Pending
            })
        };
        assert_eq!(
            side_by_side([pausing("a", 2), pausing("b", 1)]),
            Some(vec!["a", "b"])
        );
        assert_eq!(*steps.borrow(), ["a", "b", "a", "b", "a"]);
        assert_eq!(alone(pausing("c", 3)), Some("c"));
    }

    #[test]
    fn a_future_that_never_ends_is_given_up() {
        assert_eq!(alone(pending::<()>()), None);
        assert_eq!(side_by_side([pending::<()>()]), None);
    }
}

//! The ledger in memory keeps the contract of all ledgers.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use berth_control::contract::ledger_contract;
use berth_simulator::memory::MemoryLedger;

#[test]
fn the_ledger_in_memory_keeps_the_contract() {
    let ledger = MemoryLedger::new();
    let mut checks = pin!(ledger_contract(&ledger, "memory"));
    // Nothing in memory ever waits, so the first poll is the last.
    match checks.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(passed) => assert!(passed.unwrap().len() >= 20),
        Poll::Pending => panic!("the ledger in memory waits"),
    }
}

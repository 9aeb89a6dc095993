//! The ports of one invocation: the real in-memory ones behind a network on which anything can go wrong.

mod ecs;
mod ledger;

use std::cell::Cell;
use std::rc::Rc;

use berth_control::intake::DeadLetter;
use berth_control::ports::{Clock, Messenger, PortError};
use berth_scheduler::id::ClusterName;
use berth_scheduler::timestamp::Timestamp;

use super::agenda::{InvocationNumber, Sleep};
use super::fault::FaultKind;
use super::mutation::Mutation;
use super::queue::first_id;
use super::world::{SKEW_MS_MAX, Service, World};

/// The ports of one invocation.
#[derive(Debug)]
pub(super) struct SoakPorts {
    world: Rc<World>,
    invocation: InvocationNumber,
    /// How wrong the invocation's clock is, in milliseconds.
    skew_ms: i64,
    /// For mutations: whether anything was written, and whether news are kept back.
    wrote: Cell<bool>,
    pub(super) muted: Cell<bool>,
}

impl SoakPorts {
    pub(super) fn new(world: &Rc<World>, invocation: InvocationNumber) -> Self {
        let skew = if world.hits(FaultKind::ClockSkew) {
            world.fault_number(FaultKind::ClockSkew, SKEW_MS_MAX.unsigned_abs() * 2 + 1)
        } else {
            SKEW_MS_MAX.unsigned_abs()
        };
        let fast_ms = if world.has(Mutation::FastClock) {
            300_000
        } else {
            0
        };
        Self {
            world: Rc::clone(world),
            invocation,
            skew_ms: i64::try_from(skew).unwrap_or(0) - SKEW_MS_MAX + fast_ms,
            wrote: Cell::new(false),
            muted: Cell::new(false),
        }
    }

    async fn sleep(&self, millis: u64) {
        let until = self.world.now().saturating_add_millis(millis);
        Sleep {
            world: Rc::clone(&self.world),
            invocation: self.invocation,
            until,
            planned: Cell::new(false),
        }
        .await;
    }

    /// A call's way there or back. Now and then the invocation is paused.
    async fn travel(&self) {
        let mut millis = 1 + self.world.draw(self.world.slowness_ms);
        if self.world.hits(FaultKind::Pause) {
            millis += 1_000 + self.world.fault_number(FaultKind::Pause, 65_000);
        }
        self.sleep(millis).await;
    }

    /// The invocation dies here: the engine drops it, and nothing after this line ever runs.
    async fn crash(&self, name: &'static str) {
        self.world
            .note(|| format!("#{} crashes at {name}", self.invocation.0));
        self.world.crashed.borrow_mut().insert(self.invocation);
        std::future::pending().await
    }

    /// What stops a call before it takes effect.
    async fn before(&self, of: Service, name: &'static str) -> Result<(), PortError> {
        let world = &self.world;
        world.calls.set(world.calls.get() + 1);
        self.travel().await;
        if world.hits(FaultKind::CrashBefore) {
            self.crash(name).await;
        }
        let now = world.now();
        let out = world
            .weather
            .borrow()
            .outage
            .as_ref()
            .is_some_and(|(until, out)| *until > now && out.contains(&of));
        if out || world.hits(FaultKind::ErrorBefore) {
            return Err(self.failed(name, "no connection"));
        }
        let throttled = world
            .weather
            .borrow()
            .throttled_until
            .is_some_and(|until| until > now);
        if throttled && world.fault_number(FaultKind::Throttle, 2) == 0 {
            world.faults.borrow_mut().count(FaultKind::Throttle);
            world.note(|| format!("#{} {name} is throttled", self.invocation.0));
            return Err(PortError::Throttled { service: name });
        }
        Ok(())
    }

    /// What happens to the answer.
    async fn after(&self, name: &'static str) -> Result<(), PortError> {
        if self.world.hits(FaultKind::CrashAfter) {
            self.crash(name).await;
        }
        self.travel().await;
        if self.world.hits(FaultKind::LostReply) {
            // The same broken network may be the beginning of something longer.
            if self.world.is_on(FaultKind::Outage) && self.world.fault_number(FaultKind::Outage, 10) == 0 {
                self.world.faults.borrow_mut().count(FaultKind::Outage);
                self.world.begin_outage();
            }
            return Err(self.failed(name, "the answer is lost"));
        }
        Ok(())
    }

    fn failed(&self, operation: &'static str, message: &str) -> PortError {
        self.world
            .note(|| format!("#{} {operation} fails: {message}", self.invocation.0));
        PortError::Failed {
            operation,
            message: message.to_owned(),
        }
    }

    async fn call<T>(
        &self,
        of: Service,
        name: &'static str,
        effect: impl FnOnce(&World) -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        self.before(of, name).await?;
        let answer = effect(&self.world)?;
        self.after(name).await?;
        Ok(answer)
    }

    async fn table<T>(
        &self,
        name: &'static str,
        effect: impl FnOnce(&World) -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        self.call(Service::Ledger, name, effect).await
    }

    fn has(&self, mutation: Mutation) -> bool {
        self.world.has(mutation)
    }
}

impl Messenger for SoakPorts {
    async fn wake(&self, cluster: &ClusterName, delay_seconds: u16) -> Result<(), PortError> {
        let send = |world: &World| {
            world.note(|| format!("#{} wakes `{cluster}` in {delay_seconds} s", self.invocation.0));
            world.send_wake(cluster, delay_seconds);
            Ok(())
        };
        let sent = self.call(Service::Queues, "wake", send).await;
        if sent.is_err() {
            self.world.disturb();
        }
        sent
    }

    async fn refuse(&self, refusal: &str) -> Result<(), PortError> {
        let send = |world: &World| {
            let refusal: serde_json::Value = serde_json::from_str(refusal).unwrap_or_default();
            let field = |name| {
                refusal
                    .get(name)
                    .and_then(serde_json::Value::as_str)
                    .unwrap_or_default()
            };
            let message = field("messageId");
            world.note(|| format!("#{} refuses `{message}`: {}", self.invocation.0, field("reason")));
            world
                .referee
                .borrow_mut()
                .refused_messages
                .insert(first_id(message).to_owned());
            Ok(())
        };
        self.call(Service::Queues, "refuse", send).await
    }

    async fn dead_letter(&self, letter: &DeadLetter) -> Result<(), PortError> {
        let send = |world: &World| {
            world.note(|| {
                format!(
                    "#{} `{}` is a dead letter: {}",
                    self.invocation.0, letter.message_id, letter.reason
                )
            });
            let mut sqs = world.sqs.borrow_mut();
            sqs.send_dead_letter(&letter.message_id, &letter.body, world.now());
            // It may have done a part of what it asks for.
            world.disturb();
            Ok(())
        };
        self.call(Service::Queues, "dead_letter", send).await
    }
}

impl Clock for SoakPorts {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.world.now().as_millis().saturating_add(self.skew_ms))
    }
}

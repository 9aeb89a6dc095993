//! The three functions, each as one invocation on the ports.

use std::pin::Pin;
use std::rc::Rc;

use berth_control::intake::{InboundMessage, Invocation as Limits, take_in};
use berth_control::ports::{Clock as _, PortError, Ports};
use berth_control::reconcile::reconcile;
use berth_control::settings::Settings;
use berth_control::track::{track_instance, track_task};
use berth_control::wake::{News, announce};
use berth_scheduler::timestamp::Timestamp;

use super::agenda::InvocationNumber;
use super::mutation::Mutation;
use super::ports::SoakPorts;
use super::queue::MessageNumber;
use super::world::World;
use crate::ecs::EcsEvent;

/// How long admitter and reconciler may take, in milliseconds (template.yaml).
pub(super) const TIMEOUT_MS: u64 = 60_000;

/// How long capacity-tracker may take, in milliseconds (template.yaml).
pub(super) const TRACKER_TIMEOUT_MS: u64 = 30_000;

/// An invocation under way.
pub(super) struct Invocation {
    pub(super) work: Pin<Box<dyn Future<Output = End>>>,
    pub(super) of: Input,
}

/// What it was invoked with.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// admitter: messages of one queue.
    Messages(Vec<(MessageNumber, String)>),
    /// capacity-tracker: an event, and how often it failed before.
    Event(Rc<EcsEvent>, u8),
    /// reconciler: the schedule.
    Schedule,
}

/// What it answered.
#[derive(Debug)]
pub(super) enum End {
    /// admitter: the ids of the messages that must come again.
    Messages(Vec<String>),
    /// capacity-tracker.
    Event(Result<(), PortError>),
    /// reconciler.
    Schedule(Result<(), PortError>),
}

fn ports(of: &SoakPorts) -> Ports<'_, SoakPorts, SoakPorts, SoakPorts, SoakPorts> {
    Ports {
        ledger: of,
        ecs: of,
        messenger: of,
        clock: of,
    }
}

pub(super) async fn admitter(
    world: Rc<World>,
    number: InvocationNumber,
    settings: Rc<Settings>,
    messages: Vec<InboundMessage>,
) -> End {
    let own = SoakPorts::new(&world, number);
    let owner = format!("invocation-{}", number.0);
    let deadline = own.now().saturating_add_millis(TIMEOUT_MS);
    let limits = Limits {
        settings: &settings,
        owner: &owner,
        deadline,
    };
    let report = take_in(ports(&own), limits, &messages).await;
    world.note(|| {
        format!(
            "#{} ends: {:?}, {:?}",
            number.0, report.cycles, report.failed_cycles
        )
    });
    End::Messages(report.failed.into_iter().map(|(id, _)| id).collect())
}

pub(super) async fn capacity_tracker(world: Rc<World>, number: InvocationNumber, event: Rc<EcsEvent>) -> End {
    let own = SoakPorts::new(&world, number);
    world.trackers.borrow_mut().insert(number);
    let (EcsEvent::Instance { cluster, .. } | EcsEvent::Task { cluster, .. }) = &*event;
    if world.has(Mutation::AnnounceBeforeWrite) {
        if let Err(error) = announce(&own, &own, cluster, News::Room).await {
            return End::Event(Err(error));
        }
        own.muted.set(true);
    }
    let tracked = match &*event {
        EcsEvent::Instance { cluster, report } => {
            let mut report = report.clone();
            if world.has(Mutation::SettleOnAnyNewerVersion) {
                report.updated_at = Some(Timestamp::MAX);
            }
            track_instance(&own, &own, cluster, &report).await
        }
        EcsEvent::Task { cluster, report } => track_task(&own, &own, cluster, report).await,
    };
    End::Event(tracked.map(|_| ()))
}

pub(super) async fn reconciler(world: Rc<World>, number: InvocationNumber) -> End {
    let own = SoakPorts::new(&world, number);
    let mut end = Ok(());
    for cluster in &world.clusters {
        let reconciled = reconcile(ports(&own), cluster).await;
        world.note(|| format!("#{} reconciles `{cluster}`: {reconciled:?}", number.0));
        end = end.and(reconciled.map(|_| ()));
    }
    End::Schedule(end)
}

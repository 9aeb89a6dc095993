//! Step 3: decide. What a plan needs besides the records, and what it leaves for the next one.

use std::collections::{BTreeMap, BTreeSet};

use berth_scheduler::admission::{AdmissionPlan, PlanEnd, PlanOptions, plan};
use berth_scheduler::id::{ContainerInstanceArn, LaneKey};
use berth_scheduler::policy::WaitingPolicy;
use berth_scheduler::run_time::RunTimes;
use berth_scheduler::snapshot::Snapshot;
use berth_scheduler::timestamp::Timestamp;

use super::{ADMISSIONS_MAX, Cycle};
use crate::ports::{Clock, Inspector, Launcher, Ledger, Messenger, PortError, StoredLane};

/// What the plans of a cycle go by, from pass to pass.
pub(super) struct Planning {
    policy: WaitingPolicy,
    /// How long tasks run, once a plan has needed to know.
    run_times: Option<RunTimes>,
    /// The instances that the newest plan has set aside, by lane. Those in the ledger are of an earlier one
    /// until the cycle's end.
    claims: Option<ClaimsByLane>,
}

pub(super) type ClaimsByLane = BTreeMap<LaneKey, Vec<ContainerInstanceArn>>;

impl Planning {
    pub(super) fn new(policy: WaitingPolicy) -> Self {
        Self {
            policy,
            run_times: None,
            claims: None,
        }
    }

    /// The instances that the newest plan has set aside for a lane.
    pub(super) fn claims_of(&self, lane: &LaneKey) -> Option<&Vec<ContainerInstanceArn>> {
        self.claims.as_ref()?.get(lane)
    }

    /// Nobody waits any more.
    pub(super) fn set_nothing_aside(&mut self) {
        self.claims = Some(ClaimsByLane::new());
    }
}

impl<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock> Cycle<'_, L, E, M, C> {
    /// Decides. How long tasks run is read when there is something to set aside, and only then: it makes a
    /// difference to nothing else.
    pub(super) async fn decide(
        &mut self,
        snapshot: &Snapshot,
        lanes: &[StoredLane],
        now: Timestamp,
    ) -> Result<AdmissionPlan, PortError> {
        let without = RunTimes::default();
        let known = self.planning.run_times.as_ref();
        let mut plan = self.plan(snapshot, lanes, now, known.unwrap_or(&without));
        if known.is_none() && !plan.claims.is_empty() {
            let run_times = self.ports.ledger.load_run_times(&self.turn.cluster).await?;
            if !run_times.is_empty() {
                plan = self.plan(snapshot, lanes, now, &run_times);
            }
            self.planning.run_times = Some(run_times);
        }
        self.planning.claims = Some(claims_after(lanes, &plan));
        Ok(plan)
    }

    fn plan(
        &self,
        snapshot: &Snapshot,
        lanes: &[StoredLane],
        now: Timestamp,
        run_times: &RunTimes,
    ) -> AdmissionPlan {
        let options = PlanOptions {
            admissions_max: ADMISSIONS_MAX,
            closed: &self.closed,
            policy: self.planning.policy,
            now,
            run_times,
        };
        plan(snapshot, lanes.iter().map(|stored| &stored.lane), &options)
    }

    /// Gives the lanes the claims of this cycle's last plan in place of the stored ones, and returns those.
    pub(super) fn take_claims(&self, lanes: &mut [StoredLane]) -> ClaimsByLane {
        let mut stored = ClaimsByLane::new();
        for StoredLane { lane, .. } in lanes {
            if !lane.claims.is_empty() {
                stored.insert(lane.key.clone(), lane.claims.clone());
            }
            if let Some(newest) = &self.planning.claims {
                lane.claims = newest.get(&lane.key).cloned().unwrap_or_default();
            }
        }
        stored
    }

    /// Records what the newest plan has set aside for each lane, where that is not what is stored.
    pub(super) async fn record_claims(&self, stored: ClaimsByLane) -> Result<(), PortError> {
        let nothing = ClaimsByLane::new();
        let newest = self.planning.claims.as_ref().unwrap_or(&nothing);
        let lanes: BTreeSet<&LaneKey> = stored.keys().chain(newest.keys()).collect();
        for lane in lanes {
            if stored.get(lane) != newest.get(lane) {
                let claims = newest.get(lane).map_or(&[][..], Vec::as_slice);
                let ledger = self.ports.ledger;
                ledger.record_claims(&self.turn.cluster, lane, claims).await?;
            }
        }
        Ok(())
    }
}

/// The claims after a plan. One that did not look at everybody takes nothing from those it did not look at.
fn claims_after(lanes: &[StoredLane], plan: &AdmissionPlan) -> ClaimsByLane {
    let mut claims = ClaimsByLane::new();
    if plan.end == PlanEnd::MoreToPlan {
        let before = lanes.iter().map(|stored| &stored.lane);
        claims.extend(before.map(|lane| (lane.key.clone(), lane.claims.clone())));
        for admission in &plan.admissions {
            if let Some(of_lane) = claims.get_mut(&admission.lane) {
                of_lane.retain(|instance| *instance != admission.instance);
            }
        }
        for (lane, _) in &plan.claims {
            claims.remove(lane);
        }
    }
    for (lane, claim) in &plan.claims {
        let of_lane = claims.entry(lane.clone()).or_default();
        of_lane.push(claim.instance.clone());
    }
    claims.retain(|_, of_lane| !of_lane.is_empty());
    claims
}

//! One run: things happen in virtual time until everything is accounted for.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use berth_control::intake::{AfterFailure, InboundMessage};
use berth_control::settings::{Settings, WaitingPolicies};
use berth_scheduler::id::{ClusterName, SubmissionId, TaskId};
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::AgingSeconds;
use fastrand::Rng;

use super::agenda::{Due, InvocationNumber};
use super::chaos::CHAOS_EVERY_MS;
use super::fault::{FaultKind, Faults};
use super::invocation::{
    End, Input, Invocation, TIMEOUT_MS, TRACKER_TIMEOUT_MS, admitter, capacity_tracker, reconciler,
};
use super::mutation::Mutation;
use super::queue::{MessageNumber, Queue, Receiver};
use super::referee::{Invariant, Needs};
use super::setup::simulated_ecs;
use super::terms::BEGAN;
use super::workload::{Asked, Letter, Meaning, Workload};
use super::world::{Parts, World, describe_event};
use super::{SeedRun, SoakOptions};
use crate::ecs::EcsEvent;

/// reconciler's schedule, in milliseconds.
pub(super) const TICK_MS: u64 = 60_000;

/// After this long without faults everything must be accounted for, in milliseconds: the longest wait is that
/// for a client token that nobody may use any more, and then there are the tasks themselves.
const CALM_MS_MAX: u64 = 12 * 3_600_000;

/// How long after a failure an event comes again, in milliseconds, by the number of failures; then it is lost.
/// Lambda takes one minute and two; a redriven or repeated delivery can come much sooner.
const RETRIES_MS: [[u64; 2]; 2] = [[60_000, 120_000], [2_000, 5_000]];

/// More steps than any run needs.
const STEPS_MAX: u64 = 20_000_000;

/// A run.
pub(super) struct Engine {
    pub(super) world: Rc<World>,
    settings: Rc<Settings>,
    pub(super) invocations: BTreeMap<InvocationNumber, Invocation>,
    invoked: u64,
    pub(super) steps: u64,
    pub(super) letters: Vec<Letter>,
    /// When faults ended, and when the last messages were sent.
    calm_since: Option<Timestamp>,
    pub(super) last_sent_at: Option<Timestamp>,
    pub(super) done: bool,
    retries_ms: [u64; 2],
}

/// Runs one seed.
pub(super) fn run(seed: u64, options: &SoakOptions, trace_max: usize) -> SeedRun {
    let mut engine = Engine::new(seed, options, trace_max);
    engine.run();
    let world = &engine.world;
    let faults = world.faults.borrow();
    let referee = world.referee.borrow();
    SeedRun {
        steps: engine.steps,
        calls: world.calls.get(),
        faults: faults.counts(),
        kinds: faults.kinds(),
        violation: referee.violation().cloned(),
        messages: world.workload.letters.len(),
        trace: world.take_trace(),
    }
}

impl Engine {
    fn new(seed: u64, options: &SoakOptions, trace_max: usize) -> Self {
        let always = options.mutation.map_or(&[][..], Mutation::needs);
        let faults = Faults::swarm(seed, always, &options.never);
        let workload = Workload::of_seed(seed, options.messages_max, faults.is_on(FaultKind::Outage));
        let began = BEGAN;
        let clusters: Vec<ClusterName> = workload
            .clusters
            .iter()
            .filter_map(|name| ClusterName::parse(name).ok())
            .collect();
        let settings = Settings::parse(&workload.clusters.join(","), "environment,resources")
            .and_then(|settings| settings.with_waiting_policy(workload.policy))
            .map(|settings| Settings {
                aging: AgingSeconds::new(workload.aging_seconds),
                ..settings
            });
        let ecs = simulated_ecs(&workload, &clusters, began);
        let mut pace = Rng::with_seed(seed ^ 0x7061_6365);
        let [slow, quick] = RETRIES_MS;
        let slow_retries = pace.bool() && options.mutation != Some(Mutation::SilentRepeat);
        let retries_ms = if slow_retries { slow } else { quick };
        let letters = workload.letters.clone();
        let parts = Parts {
            began,
            ecs,
            faults,
            workload,
            clusters,
            mutation: options.mutation,
            pace,
            trace_max,
        };
        let world = Rc::new(World::new(parts));
        let fallback = || Settings {
            clusters: Vec::new(),
            allowed_overrides: Default::default(),
            default_strategies: Vec::new(),
            policies: WaitingPolicies::default(),
            aging: None,
        };
        let engine = Self {
            world,
            settings: Rc::new(settings.unwrap_or_else(|_| fallback())),
            invocations: BTreeMap::new(),
            invoked: 0,
            steps: 0,
            letters,
            calm_since: None,
            last_sent_at: None,
            done: false,
            retries_ms,
        };
        engine.begin();
        engine
    }

    fn begin(&self) {
        let world = &self.world;
        world.observe_ecs();
        for (cluster, machine) in &world.workload.machines {
            if let Some(cluster) = world.clusters.get(*cluster) {
                world.register(cluster, machine);
            }
        }
        for (number, letter) in self.letters.iter().enumerate() {
            self.expect(letter);
            world.plan_in(letter.at_ms, Due::Send(number));
        }
        world.plan_in(world.draw(TICK_MS), Due::Tick);
        world.plan_in(CHAOS_EVERY_MS, Due::Chaos);
        world.plan_in(world.workload.calm_at_ms, Due::Calm);
    }

    pub(super) fn expect(&self, letter: &Letter) {
        if let Meaning::Tasks(asked) = &letter.meaning {
            for task in tasks_of(asked) {
                let needs = Needs {
                    family: self.world.workload.family(asked.family),
                    limits: asked.limits,
                };
                self.world.referee.borrow_mut().expect(task, needs);
            }
        }
    }

    fn run(&mut self) {
        while !self.done && self.steps < STEPS_MAX && self.world.referee.borrow().violation().is_none() {
            let agenda_at = self.world.agenda.borrow().next_at();
            let ecs_at = self.world.ecs.with_ecs(|ecs| ecs.next_due());
            let Some(at) = agenda_at.into_iter().chain(ecs_at).min() else {
                break;
            };
            self.steps += 1;
            self.world.advance_to(at.max(self.world.now()));
            if agenda_at != Some(at) {
                continue;
            }
            let due = self.world.agenda.borrow_mut().pop();
            if let Some(due) = due {
                self.take(due);
            }
        }
    }

    fn take(&mut self, due: Due) {
        let world = Rc::clone(&self.world);
        match due {
            Due::Resume(number, waker) => {
                waker.wake();
                self.poll(number);
            }
            Due::Kill(number) => {
                if self.invocations.contains_key(&number) {
                    world.note(|| format!("#{} runs out of time", number.0));
                    self.bury(number);
                }
            }
            Due::Send(number) => {
                if let Some(letter) = self.letters.get(number) {
                    world.note(|| format!("a user sends `{}`: {}", letter.message_id, letter.body));
                    world.send_message(Queue::Submission, Some(&letter.message_id), &letter.body, 0);
                }
            }
            Due::Message(number) => world.message_is_due(number),
            Due::Poll => self.receive(),
            Due::Event(event, tries) => self.deliver(event, tries),
            Due::Tick => self.tick(),
            Due::Launch(call) => {
                super::effect::launch(&world, None, &call);
            }
            Due::Write(change) => {
                let _moved = super::effect::commit(&world, *change);
            }
            Due::Chaos => {
                if self.calm_since.is_none() {
                    world.throw_chaos();
                }
            }
            Due::Later(later) => world.make_good(later),
            Due::Calm => {
                self.calm_since = Some(world.now());
                world.calm_down();
            }
        }
    }

    fn invoke(
        &mut self,
        of: Input,
        timeout_ms: u64,
        work: impl FnOnce(InvocationNumber) -> std::pin::Pin<Box<dyn Future<Output = End>>>,
    ) {
        self.invoked += 1;
        let number = InvocationNumber(self.invoked);
        self.world.plan_in(timeout_ms, Due::Kill(number));
        self.invocations.insert(
            number,
            Invocation {
                work: work(number),
                of,
            },
        );
        self.poll(number);
    }

    fn poll(&mut self, number: InvocationNumber) {
        let Some(invocation) = self.invocations.get_mut(&number) else {
            return;
        };
        let polled = invocation
            .work
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        if self.world.crashed.borrow_mut().remove(&number) {
            self.bury(number);
        } else if let Poll::Ready(end) = polled {
            self.finish(number, end);
        }
    }

    /// An invocation has died: what it was invoked with comes again, or not.
    fn bury(&mut self, number: InvocationNumber) {
        self.world.referee.borrow_mut().invocation_ends(number);
        let Some(invocation) = self.invocations.remove(&number) else {
            return;
        };
        match invocation.of {
            // The queue hands them out again when their visibility timeout is over.
            Input::Messages(messages) => {
                let mut sqs = self.world.sqs.borrow_mut();
                for (message, _) in messages {
                    sqs.receiver_died(message);
                }
            }
            Input::Event(event, tries) => self.retry(event, tries),
            Input::Schedule => self.world.disturb(),
        }
    }

    fn finish(&mut self, number: InvocationNumber, end: End) {
        self.world.referee.borrow_mut().invocation_ends(number);
        let Some(invocation) = self.invocations.remove(&number) else {
            return;
        };
        match (invocation.of, end) {
            (Input::Messages(messages), End::Messages(failed)) => {
                for (message, id) in messages {
                    if !failed.contains(&id) && self.world.sqs.borrow_mut().delete(message) == Receiver::Died
                    {
                        // It does not come again for what the other one had begun.
                        self.world.disturb();
                    }
                }
            }
            (Input::Event(event, tries), End::Event(Err(_))) => self.retry(event, tries),
            (Input::Schedule, End::Schedule(end)) => match end {
                Ok(()) => self.world.reconciled(),
                Err(_) => self.world.disturb(),
            },
            _ => {}
        }
    }

    fn retry(&self, event: Rc<EcsEvent>, tries: u8) {
        match self.retries_ms.get(usize::from(tries)) {
            Some(wait_ms) => self.world.plan_in(*wait_ms, Due::Event(event, tries + 1)),
            None => {
                self.world
                    .note(|| format!("given up: {}", describe_event(&event)));
                self.world.disturb();
                self.world.faults.borrow_mut().count(FaultKind::EventLost);
            }
        }
    }

    /// The event source mappings hand out what is ready, in batches.
    fn receive(&mut self) {
        self.world.sqs.borrow_mut().poll_planned = false;
        for queue in [Queue::Submission, Queue::Wake] {
            let most = usize::try_from(1 + self.world.draw(10)).unwrap_or(1);
            let received = self.world.sqs.borrow_mut().receive(queue, most);
            if received.is_empty() {
                continue;
            }
            let visibility_ms = match queue {
                Queue::Wake if self.world.has(Mutation::EarlyRedelivery) => 30_000,
                of => of.visibility_ms(),
            };
            let mut inbound = Vec::new();
            let mut taken = Vec::new();
            for (number, message) in received {
                if self.world.has(Mutation::AckAtReceipt) {
                    self.world.sqs.borrow_mut().delete(number);
                } else {
                    self.world.plan_in(visibility_ms, Due::Message(number));
                }
                taken.push((number, message.id.clone()));
                let last = message.is_received_last();
                inbound.push(InboundMessage {
                    after_failure: if last {
                        AfterFailure::DeadLetter
                    } else {
                        AfterFailure::ComesAgain
                    },
                    message_id: message.id,
                    body: message.body,
                    sent_at: message.sent_at,
                });
            }
            self.admit(taken, inbound);
        }
        if self.world.sqs.borrow().has_ready() {
            self.world.sqs.borrow_mut().poll_planned = true;
            let wait_ms = 1 + self.world.draw(40);
            self.world.plan_in(wait_ms, Due::Poll);
        }
    }

    fn admit(&mut self, taken: Vec<(MessageNumber, String)>, inbound: Vec<InboundMessage>) {
        let (world, settings) = (Rc::clone(&self.world), Rc::clone(&self.settings));
        let ids: Vec<String> = taken.iter().map(|(_, id)| id.clone()).collect();
        self.world
            .note(|| format!("#{} admitter gets {ids:?}", self.invoked + 1));
        self.invoke(Input::Messages(taken), TIMEOUT_MS, |number| {
            Box::pin(admitter(world, number, settings, inbound))
        });
    }

    fn deliver(&mut self, event: Rc<EcsEvent>, tries: u8) {
        let world = Rc::clone(&self.world);
        world.note(|| {
            format!(
                "#{} capacity-tracker gets {}",
                self.invoked + 1,
                describe_event(&event)
            )
        });
        let of = Input::Event(Rc::clone(&event), tries);
        self.invoke(of, TRACKER_TIMEOUT_MS, |number| {
            Box::pin(capacity_tracker(world, number, event))
        });
    }

    fn tick(&mut self) {
        self.world.plan_in(TICK_MS, Due::Tick);
        if self.is_quiet() {
            self.world.check_wake_ups();
            if self.calm_since.is_some() {
                self.world.redrive();
                self.let_go_on();
                self.end_if_accounted();
            }
        }
        let calm_ms = self
            .calm_since
            .map_or(0, |since| self.world.now().millis_since(since));
        if calm_ms > CALM_MS_MAX && !self.done {
            let open = self
                .first_open()
                .or_else(|| self.entry_left_behind())
                .unwrap_or_else(|| self.what_is_under_way());
            self.world.blame(Invariant::NothingLost, open);
        }
        if self.done || self.world.has(Mutation::NoReconciliation) {
            return;
        }
        let world = Rc::clone(&self.world);
        self.invoke(Input::Schedule, TIMEOUT_MS, |number| {
            Box::pin(reconciler(world, number))
        });
    }
}

/// The tasks that a message asks for.
pub(super) fn tasks_of(asked: &Asked) -> Vec<TaskId> {
    let submission = SubmissionId::parse(&asked.id);
    let copies =
        |submission: SubmissionId| (1..=asked.count).map(move |copy| TaskId::of_copy(&submission, copy));
    submission.into_iter().flat_map(copies).collect()
}

//! The representative of a state: values nobody will read again are cleared, messages that can change
//! nothing are dropped, and report versions become ranks.

use crate::state::{
    Admitter, Event, Hold, INSTANCES, Instance, PassEnd, Progress, Report, Run, State, Step, Task, Wave,
};

impl State {
    /// Replaces the state by its representative: values nobody will read again are cleared, and report
    /// versions become ranks.
    pub(crate) fn normalise(&mut self) {
        for admitter in &mut self.admitters {
            admitter.clear_unread();
        }
        for task in &mut self.tasks {
            task.clear_unread();
        }
        for instance in &mut self.instances {
            instance.drop_stale_events();
        }
        for instance in 0..INSTANCES {
            self.forget_end(instance);
            self.rank_versions(instance);
        }
    }

    /// When the last of our tasks ended matters to older events only.
    fn forget_end(&mut self, index: usize) {
        let Instance { ended, events, .. } = self.instances[index];
        let is_older = |report: &Report| report.version != 0 && report.version < ended;
        let in_hand = match self.tracker.event {
            Event::Instance(at, report) => usize::from(at) == index && is_older(&report),
            _ => false,
        };
        if !in_hand && !events.iter().any(is_older) {
            self.instances[index].ended = 0;
        }
    }

    fn rank_versions(&mut self, instance: usize) {
        let mut used = 1_u64;
        self.each_version(instance, |version| used |= 1 << *version);
        self.each_version(instance, |version| {
            let below = used & ((1_u64 << *version) - 1);
            *version = u8::try_from(below.count_ones()).unwrap_or(u8::MAX);
        });
        self.instances[instance].events.sort_unstable();
    }

    fn each_version(&mut self, index: usize, mut visit: impl FnMut(&mut u8)) {
        let instance = &mut self.instances[index];
        visit(&mut instance.version);
        visit(&mut instance.stored.version);
        visit(&mut instance.ended);
        for event in &mut instance.events {
            visit(&mut event.version);
        }
        for task in &mut self.tasks {
            visit(&mut task.reservations[index].at_version);
            if usize::from(task.run_instance) == index {
                visit(&mut task.created_at_version);
                visit(&mut task.ended_at_version);
            }
        }
        if let Event::Instance(at, report) = &mut self.tracker.event
            && usize::from(*at) == index
        {
            visit(&mut report.version);
        }
        for admitter in &mut self.admitters {
            if usize::from(admitter.asked.instance) == index {
                visit(&mut admitter.asked.described.version);
            }
        }
        visit(&mut self.reconciler.described[index].version);
    }
}

impl Admitter {
    pub(crate) fn clear_unread(&mut self) {
        self.keep_what_the_step_needs();
        let launching = matches!(
            self.step,
            Step::Launch | Step::Settle | Step::ReadRefusing | Step::DescribeRefusing | Step::RecordRefusing
        );
        let will_not_plan = launching && !self.resolving || self.end != PassEnd::Open;
        if will_not_plan {
            self.room = [0; INSTANCES];
            self.under_way = 0;
            self.fresh_instances = 0;
            self.visible = 0;
            if self.end != PassEnd::Open {
                self.waiting = 0;
            }
        }
        if matches!(self.step, Step::Strike | Step::ReleaseOrphan) {
            return;
        }
        for (index, wave) in self.wave.iter().enumerate() {
            if *wave == Wave::No {
                self.fresh_tasks &= !(1 << index);
                self.reserved[index] = (0, 0);
            }
        }
    }

    /// Between passes little is in hand.
    fn keep_what_the_step_needs(&mut self) {
        match self.step {
            Step::Idle => *self = Self::default(),
            Step::Enqueue | Step::LookAhead => {
                *self = Self {
                    step: self.step,
                    message: self.message,
                    task: self.task,
                    ..Self::default()
                };
            }
            Step::TakeTurn | Step::CountLoss | Step::GiveUp | Step::HandBack | Step::WakeLater => {
                *self = Self {
                    step: self.step,
                    message: self.message,
                    ..Self::default()
                };
            }
            Step::EndCycle | Step::FallAsleep => {
                *self = Self {
                    step: self.step,
                    message: self.message,
                    moved: self.moved,
                    epoch_holds: self.epoch_holds,
                    somebody_waits: self.somebody_waits,
                    ..Self::default()
                };
            }
            Step::BeginPass => {
                *self = Self {
                    step: self.step,
                    message: self.message,
                    closed: self.closed,
                    epoch_holds: self.epoch_holds,
                    ..Self::default()
                };
            }
            Step::SecondLook => {
                *self = Self {
                    step: self.step,
                    message: self.message,
                    waiting: self.waiting,
                    moved: self.moved,
                    epoch_holds: self.epoch_holds,
                    ..Self::default()
                };
            }
            _ => {}
        }
    }
}

impl Instance {
    /// An event older than the stored report changes nothing and is not announced: it is as good as delivered.
    fn drop_stale_events(&mut self) {
        let stored = self.stored;
        for event in &mut self.events {
            if event.version < stored.version || stored.inactive {
                *event = Report::default();
            }
        }
    }
}

impl Task {
    fn clear_unread(&mut self) {
        let run = self.reservations[usize::from(self.run_instance)];
        let run_is_open = run.hold == Hold::Pending && run.attempt == self.run_attempt;
        // A RUNNING event that no longer changes anything is not announced: it is as good as delivered.
        let known = matches!(self.progress, Progress::Started | Progress::Ended);
        if known && !run_is_open {
            self.running_event = false;
        }
        if self.progress != Progress::Reserved {
            self.refused = false;
            self.old = false;
        }
        let holds_room = self.reservations.iter().any(|it| it.hold != Hold::None);
        let instance_matters = match self.progress {
            Progress::Reserved => true,
            Progress::Started => holds_room,
            _ => false,
        };
        if !instance_matters {
            self.instance = 0;
        }
        if !holds_room {
            self.created_at_version = 0;
            self.ended_at_version = 0;
            if self.run != Run::Live {
                self.run_instance = 0;
            }
        }
        for reservation in &mut self.reservations {
            if reservation.hold == Hold::Counted {
                reservation.at_version = 0;
            }
        }
    }
}

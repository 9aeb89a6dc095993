//! The end of a run: faults have ended, and users and time bring everything to its end.

use berth_control::ports::Ledger as _;
use berth_control::records::TaskRecord;
use berth_scheduler::progress::TaskState;

use super::agenda::Due;
use super::engine::Engine;
use super::queue::Queue;
use super::second_thoughts;

impl Engine {
    /// Users see what they have stopped and what is in doubt, and let it go on; half of what is in doubt they leave.
    pub(super) fn let_go_on(&self) {
        let step = self.steps;
        let tasks = self.world.ledger.tasks();
        let held = tasks.iter().filter(|it| it.progress.hold.is_some());
        let release = held.map(|it| second_thoughts::release(&it.id, format!("release-{}-{step}", it.id)));
        let in_doubt = |it: &&TaskRecord| matches!(it.progress.state, TaskState::Doubt { .. });
        let doubts = tasks.iter().filter(in_doubt).filter(|it| {
            let wanted = self.world.draw(2) == 0;
            self.world.referee.borrow_mut().see_doubt(&it.id, wanted) && wanted
        });
        let retry = doubts.map(|it| second_thoughts::retry(&it.id));
        let paused = self
            .world
            .clusters
            .iter()
            .filter(|it| self.world.ledger.is_paused(it));
        let resume = paused.map(|it| second_thoughts::resume(it, format!("resume-{it}-{step}")));
        for letter in release.chain(retry).chain(resume) {
            self.world
                .send_message(Queue::Submission, Some(&letter.message_id), &letter.body, 0);
        }
    }

    /// Whether nothing is under way.
    pub(super) fn is_quiet(&self) -> bool {
        let agenda = self.world.agenda.borrow();
        let under_way = |due: &Due| matches!(due, Due::Event(..) | Due::Launch(_) | Due::Write(_));
        self.invocations.is_empty() && self.world.sqs.borrow().is_quiet() && !agenda.iter().any(under_way)
    }

    /// Why it is never quiet, in words.
    pub(super) fn what_is_under_way(&self) -> String {
        let queues = if self.world.sqs.borrow().is_quiet() {
            ""
        } else {
            ", and messages"
        };
        let leases = if self.a_dead_holder_has_the_turn() {
            ", and a lease"
        } else {
            ""
        };
        let running = self.invocations.len();
        format!("something is always under way: {running} invocations{queues}{leases}")
    }

    /// An entry in the waiting list of a task that has left it: the reconciler removes them within a minute, and a run
    /// that keeps them until its time is over has failed.
    pub(super) fn entry_left_behind(&self) -> Option<String> {
        self.world.clusters.iter().find_map(|cluster| {
            let waiting = self.world.ledger.waiting(cluster);
            let mut waiting = waiting.iter();
            let (rank, _) = waiting.find(|(rank, _)| self.world.attempt_while_waiting(rank).is_none())?;
            Some(format!(
                "`{}` has left the waiting list, and its entry has not",
                rank.task()
            ))
        })
    }

    /// Whether a lease outlives its holder. The holder's wake message, which looks after whoever comes meanwhile, is
    /// gone only when a second copy of it was deleted; whoever is sent then waits for the reconciler, as is told in
    /// the README.
    fn a_dead_holder_has_the_turn(&self) -> bool {
        let now = self.world.now();
        self.world.clusters.iter().any(|cluster| {
            let state = self.world.peek(self.world.ledger.wake_state(cluster));
            state.is_some_and(|state| state.turn_until.is_some_and(|until| until > now))
        })
    }

    /// When every message is accounted for, one more is sent to each cluster; when that is, too, the run ends.
    pub(super) fn end_if_accounted(&mut self) {
        if self.first_open().is_some() || self.entry_left_behind().is_some() {
            return;
        }
        if self.last_sent_at.is_some() {
            self.check_end();
            self.done = true;
            return;
        }
        if self.a_dead_holder_has_the_turn() {
            return;
        }
        self.last_sent_at = Some(self.world.now());
        for cluster in 0..self.world.clusters.len() {
            let letter = self.world.workload.last_letter(cluster);
            self.expect(&letter);
            self.world.plan_in(1_000, Due::Send(self.letters.len()));
            self.letters.push(letter);
        }
    }
}

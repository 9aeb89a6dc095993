//! SQS: at least once, in any order, with visibility timeouts and dead-letter queues.

use std::collections::BTreeMap;

use berth_scheduler::timestamp::Timestamp;

/// What a message's id ends with after each move from the dead-letter queue.
const REDRIVEN: &str = "+";

/// The id that a message was first sent with.
pub(super) fn first_id(id: &str) -> &str {
    id.trim_end_matches(REDRIVEN)
}

/// Counts the messages of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MessageNumber(pub(super) u64);

/// Which queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    /// Submissions.
    Submission,
    /// Wake messages.
    Wake,
}

impl Queue {
    /// How often a message is received at most before it goes to the dead-letter queue (template.yaml).
    const fn receives_max(self) -> u32 {
        match self {
            Self::Submission => 5,
            Self::Wake => 10,
        }
    }

    /// How long a received message is not seen by others, in milliseconds (template.yaml).
    pub(super) const fn visibility_ms(self) -> u64 {
        match self {
            Self::Submission => 360_000,
            Self::Wake => 90_000,
        }
    }
}

/// A message on a queue.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) queue: Queue,
    pub(super) id: String,
    pub(super) body: String,
    pub(super) sent_at: Timestamp,
    receives: u32,
    pub(super) place: Place,
    receiver: Receiver,
    /// Whether the event source mapping may hand it out.
    ready: bool,
}

impl Message {
    /// Whether the queue will not hand it out again.
    pub(super) fn is_received_last(&self) -> bool {
        self.receives >= self.queue.receives_max()
    }
}

/// What became of the functions that have received a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receiver {
    /// None has died before its work was done.
    Alive,
    /// One has.
    Died,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On its queue, received or not.
    Queued,
    /// Handled.
    Deleted,
    /// On the dead-letter queue.
    DeadLetter,
}

/// Both queues and their dead-letter queues.
#[derive(Debug, Default)]
pub(super) struct Sqs {
    messages: BTreeMap<MessageNumber, Message>,
    pub(super) poll_planned: bool,
}

impl Sqs {
    pub(super) fn send(
        &mut self,
        queue: Queue,
        id: Option<&str>,
        body: &str,
        now: Timestamp,
    ) -> MessageNumber {
        let number = MessageNumber(u64::try_from(self.messages.len()).unwrap_or(u64::MAX));
        let id = id.map_or_else(|| format!("wake-{}", number.0), str::to_owned);
        let message = Message {
            queue,
            id,
            body: body.to_owned(),
            sent_at: now,
            receives: 0,
            place: Place::Queued,
            receiver: Receiver::Alive,
            ready: false,
        };
        self.messages.insert(number, message);
        number
    }

    /// Puts a submission on the dead-letter queue by hand.
    pub(super) fn send_dead_letter(&mut self, id: &str, body: &str, now: Timestamp) {
        let number = self.send(Queue::Submission, Some(id), body, now);
        if let Some(message) = self.messages.get_mut(&number) {
            message.place = Place::DeadLetter;
        }
    }

    /// A message can be received, the first time or again; answers whether it is still there.
    pub(super) fn make_ready(&mut self, number: MessageNumber) -> bool {
        let message = self
            .messages
            .get_mut(&number)
            .filter(|message| message.place == Place::Queued);
        let Some(message) = message else { return false };
        message.ready = true;
        true
    }

    /// Receives up to ten messages of one queue. Those that come too often go to the dead-letter queue.
    pub(super) fn receive(&mut self, queue: Queue, most: usize) -> Vec<(MessageNumber, Message)> {
        let mut received = Vec::new();
        let ready = |message: &Message| message.ready && message.queue == queue;
        for (number, message) in self.messages.iter_mut().filter(|(_, message)| ready(message)) {
            if received.len() >= most {
                break;
            }
            message.ready = false;
            message.receives = message.receives.saturating_add(1);
            if message.receives > queue.receives_max() {
                message.place = Place::DeadLetter;
            } else {
                received.push((*number, message.clone()));
            }
        }
        received
    }

    pub(super) fn has_ready(&self) -> bool {
        self.messages.values().any(|message| message.ready)
    }

    /// A function that had received a message has died.
    pub(super) fn receiver_died(&mut self, number: MessageNumber) {
        if let Some(message) = self.messages.get_mut(&number) {
            message.receiver = Receiver::Died;
        }
    }

    /// Deletes a message, and tells what became of those that had received it.
    pub(super) fn delete(&mut self, number: MessageNumber) -> Receiver {
        match self.messages.get_mut(&number) {
            Some(message) => {
                message.place = Place::Deleted;
                message.receiver
            }
            None => Receiver::Alive,
        }
    }

    /// Puts the submissions that went to the dead-letter queue back, as people do: for SQS they are new messages.
    pub(super) fn redrive(&mut self, now: Timestamp) -> Vec<MessageNumber> {
        let mut redriven = Vec::new();
        for (number, message) in &mut self.messages {
            if message.place == Place::DeadLetter && message.queue == Queue::Submission {
                message.place = Place::Queued;
                message.receives = 0;
                message.sent_at = now;
                message.id.push_str(REDRIVEN);
                redriven.push(*number);
            }
        }
        redriven
    }

    /// Whether every message is handled.
    pub(super) fn is_quiet(&self) -> bool {
        self.messages
            .values()
            .all(|message| message.place != Place::Queued)
    }

    /// Submissions in the dead-letter queue.
    pub(super) fn dead_submissions(&self) -> usize {
        let dead =
            |message: &&Message| message.place == Place::DeadLetter && message.queue == Queue::Submission;
        self.messages.values().filter(dead).count()
    }
}

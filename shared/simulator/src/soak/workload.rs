//! What a run is about: clusters, instances, task definitions and the messages that users send.

use fastrand::Rng;
use serde_json::{Value, json};

use super::second_thoughts;
use super::terms::{Limits, TermsMix};
use crate::ports::{TASK_EXITS_VARIABLE, TASK_SECONDS_VARIABLE};

/// The name of the only container.
pub(super) const CONTAINER: &str = "main";

const PLAIN: &str = "m5.large";
const WITH_GPU: &str = "g4dn.xlarge";

/// An instance to be registered.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) instance_type: &'static str,
    pub(super) cpu: u32,
    pub(super) memory_mib: u32,
    pub(super) gpu: u32,
}

impl Machine {
    /// Large enough for every task that ever fits.
    pub(super) const LARGEST: Self = Self {
        instance_type: WITH_GPU,
        cpu: 4_096,
        memory_mib: 4_096,
        gpu: 2,
    };
    /// The same without GPUs.
    pub(super) const LARGEST_PLAIN: Self = Self {
        instance_type: PLAIN,
        gpu: 0,
        ..Self::LARGEST
    };
}

/// What the tasks of a family need.
#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) cpu: u32,
    pub(super) memory_mib: u32,
    pub(super) gpu: u32,
    pub(super) port: Option<u16>,
    /// A `memberOf` constraint on the instance type.
    pub(super) instance_type: Option<&'static str>,
    /// Whether no two of them may share an instance.
    pub(super) distinct: bool,
}

impl Family {
    /// Whether no instance can ever be large enough.
    pub(super) fn never_fits(&self) -> bool {
        self.memory_mib > Machine::LARGEST.memory_mib
    }
}

/// A message that a user sends.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    /// When, in milliseconds from the beginning.
    pub(super) at_ms: u64,
    pub(super) message_id: String,
    pub(super) body: String,
    pub(super) meaning: Meaning,
}

/// What a message asks for.
#[derive(Clone, Debug)]
pub(super) enum Meaning {
    /// Tasks.
    Tasks(Asked),
    /// Something to be done with tasks or a cluster.
    Command,
    /// Nothing that could be carried out.
    Nonsense,
}

/// Tasks that a message asks for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) id: String,
    pub(super) count: u8,
    pub(super) family: usize,
    pub(super) cluster: usize,
    pub(super) limits: Limits,
}

/// Everything that is planned for a run.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    /// The clusters' names.
    pub(super) clusters: Vec<&'static str>,
    /// The instances at the beginning, by cluster.
    pub(super) machines: Vec<(usize, Machine)>,
    pub(super) families: Vec<Family>,
    pub(super) letters: Vec<Letter>,
    /// The waiting policy of all clusters.
    pub(super) policy: &'static str,
    /// The deployment's `AgingSeconds`.
    pub(super) aging_seconds: u32,
    /// From PENDING to RUNNING, in milliseconds.
    pub(super) start_ms: u64,
    /// From the wish to stop to STOPPED, in milliseconds.
    pub(super) stop_ms: u64,
    /// When faults end, in milliseconds from the beginning.
    pub(super) calm_at_ms: u64,
}

/// The time in which messages are sent, in milliseconds.
const SENDING_MS: u64 = 10 * 60_000;

impl Workload {
    /// The workload of a seed; `messages_max` makes it smaller. `long` when an outage should fit in.
    pub(super) fn of_seed(seed: u64, messages_max: usize, long: bool) -> Self {
        let mut random = Rng::with_seed(seed ^ 0x0077_6f72_6b6c_6f61);
        let clusters = if random.u8(0..8) == 0 {
            vec!["default", "batch"]
        } else {
            vec!["default"]
        };
        let machines: Vec<(usize, Machine)> = (0..clusters.len())
            .flat_map(|cluster| {
                (0..random.usize(1..=4))
                    .map(|_| (cluster, machine(&mut random)))
                    .collect::<Vec<_>>()
            })
            .collect();
        let families: Vec<Family> = (0..random.usize(1..=5))
            .map(|number| family(&mut random, number))
            .collect();
        let jobs = pick(&mut random, &[1, 2, 3, 8, 30, 60]).min(messages_max);
        let terms = TermsMix::of(&mut random);
        let mut letters = Vec::new();
        let spread_ms = pick(&mut random, &[2_000, 60_000, SENDING_MS]);
        for number in 0..jobs {
            let asked = Asked {
                id: format!("job-{number}"),
                count: if random.u8(0..6) == 0 { random.u8(2..=4) } else { 1 },
                family: random.usize(0..families.len()),
                cluster: random.usize(0..clusters.len()),
                limits: Limits::default(),
            };
            let at_ms = random.u64(0..=spread_ms);
            let letter = letter(&mut random, asked, &families, &clusters, terms, at_ms);
            add_variations(&mut random, &mut letters, letter, number);
        }
        letters.extend(second_thoughts::commands(&mut random, &clusters, jobs, spread_ms));
        let calm_at_ms = if long {
            SENDING_MS + 60_000 * random.u64(30..150)
        } else {
            spread_ms + 60_000 * random.u64(2..12)
        };
        Self {
            clusters,
            machines,
            families,
            letters,
            policy: pick(
                &mut random,
                &["reserve", "reserve", "reserve:1", "strict", "fill"],
            ),
            aging_seconds: pick(&mut random, &[0, 0, 0, 1, 60]),
            start_ms: pick(&mut random, &[0, 500, 3_000]),
            stop_ms: pick(&mut random, &[0, 0, 2_000, 30_000]),
            calm_at_ms,
        }
    }

    /// The last message for a cluster, when everything else is done: it must start at once.
    pub(super) fn last_letter(&self, cluster: usize) -> Letter {
        let asked = Asked {
            id: format!("last-{cluster}"),
            count: 1,
            family: self.families.len(),
            cluster,
            limits: Limits::default(),
        };
        let body = body(
            &asked,
            LAST_FAMILY,
            self.clusters.get(cluster).copied().unwrap_or_default(),
            0,
            5,
            "0",
        );
        Letter {
            at_ms: 0,
            message_id: format!("last-{cluster}"),
            body: body.to_string(),
            meaning: Meaning::Tasks(asked),
        }
    }

    /// The family of the last messages: it fits everywhere.
    pub(super) fn last_family() -> Family {
        Family {
            name: LAST_FAMILY.to_owned(),
            cpu: 1,
            memory_mib: 8,
            gpu: 0,
            port: None,
            instance_type: None,
            distinct: false,
        }
    }

    /// The family with this number; the one after the last is that of the last messages.
    pub(super) fn family(&self, number: usize) -> Family {
        self.families
            .get(number)
            .cloned()
            .unwrap_or_else(Self::last_family)
    }
}

const LAST_FAMILY: &str = "last";

fn machine(random: &mut Rng) -> Machine {
    let gpu = if random.u8(0..5) == 0 {
        random.u32(1..=2)
    } else {
        0
    };
    Machine {
        instance_type: if gpu > 0 { WITH_GPU } else { PLAIN },
        cpu: pick(random, &[1_024, 2_048]),
        memory_mib: pick(random, &[512, 700, 1_000, 2_048]),
        gpu,
    }
}

fn family(random: &mut Rng, number: usize) -> Family {
    let gpu = u32::from(random.u8(0..8) == 0);
    Family {
        name: format!("family-{number}"),
        cpu: pick(random, &[0, 64, 256, 512]),
        memory_mib: if random.u8(0..20) == 0 {
            9_000
        } else {
            random.u32(100..=400)
        },
        gpu,
        port: (random.u8(0..6) == 0).then_some(8_080),
        instance_type: (gpu == 0 && random.u8(0..6) == 0).then(|| pick(random, &[PLAIN, WITH_GPU])),
        distinct: random.u8(0..8) == 0,
    }
}

fn letter(
    random: &mut Rng,
    asked: Asked,
    families: &[Family],
    clusters: &[&str],
    terms: TermsMix,
    at_ms: u64,
) -> Letter {
    let family = families
        .get(asked.family)
        .map_or(LAST_FAMILY, |family| &family.name);
    let cluster = clusters.get(asked.cluster).copied().unwrap_or_default();
    let priority = pick(random, &[0, 0, 0, 10, 50, 900]);
    let seconds = pick(random, &[1, 5, 20, 60, 300]);
    let exits = pick(random, &["0", "0", "0", "1,0", "1", "oom,1,0"]);
    let mut body = body(&asked, family, cluster, priority, seconds, exits);
    if let Some(fields) = body.as_object_mut() {
        let terms = terms.fields(random, at_ms).into_iter();
        fields.extend(terms.map(|(name, value)| (name.to_owned(), value)));
    }
    let body = with_constraints(body, families.get(asked.family));
    let asked = Asked {
        limits: Limits::of(&body),
        ..asked
    };
    Letter {
        at_ms,
        message_id: format!("message-of-{}", asked.id),
        body: body.to_string(),
        meaning: Meaning::Tasks(asked),
    }
}

fn body(asked: &Asked, family: &str, cluster: &str, priority: u16, seconds: u32, exits: &str) -> Value {
    json!({
        "id": asked.id,
        "priority": priority,
        "cluster": cluster,
        "taskDefinition": family,
        "count": asked.count,
        "overrides": {"containerOverrides": [{
            "name": CONTAINER,
            "environment": [
                {"name": TASK_SECONDS_VARIABLE, "value": seconds.to_string()},
                {"name": TASK_EXITS_VARIABLE, "value": exits},
            ],
        }]},
    })
}

fn with_constraints(mut body: Value, family: Option<&Family>) -> Value {
    let Some(family) = family else { return body };
    let mut constraints = Vec::new();
    if let Some(instance_type) = family.instance_type {
        let expression = format!("attribute:ecs.instance-type == {instance_type}");
        constraints.push(json!({"type": "memberOf", "expression": expression}));
    }
    if family.distinct {
        constraints.push(json!({"type": "distinctInstance"}));
    }
    if !constraints.is_empty()
        && let Some(fields) = body.as_object_mut()
    {
        fields.insert("placementConstraints".to_owned(), Value::Array(constraints));
    }
    body
}

/// Now and then the same submission is sent again, or something that is no submission.
fn add_variations(random: &mut Rng, letters: &mut Vec<Letter>, letter: Letter, number: usize) {
    if random.u8(0..8) == 0 {
        let again = Letter {
            at_ms: letter.at_ms + random.u64(0..120_000),
            message_id: format!("{}-again", letter.message_id),
            ..letter.clone()
        };
        letters.push(again);
    }
    if random.u8(0..12) == 0 {
        let bodies = [
            "{",
            r#"{"priorty":1,"taskDefinition":"family-0"}"#,
            r#"{"taskDefinition":"nowhere"}"#,
            "",
        ];
        letters.push(Letter {
            at_ms: letter.at_ms,
            message_id: format!("nonsense-{number}"),
            body: pick(random, &bodies).to_owned(),
            meaning: Meaning::Nonsense,
        });
    }
    letters.push(letter);
}

fn pick<T: Clone + Default>(random: &mut Rng, of: &[T]) -> T {
    of.get(random.usize(0..of.len().max(1)))
        .cloned()
        .unwrap_or_default()
}

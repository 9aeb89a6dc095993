//! The adapters on an emulator of DynamoDB and SQS.
//!
//! With `BERTH_TEST_DYNAMODB_ENDPOINT`, the contract of the ledger is checked on another DynamoDB instead, in two tables
//! that are made and removed again.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test by panicking")]

use std::collections::BTreeMap;
use std::error::Error;
use std::hash::{BuildHasher, RandomState};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
};
use aws_sdk_sqs::types::Message;
use berth_aws::ledger::{DynamoLedger, Tables};
use berth_aws::messenger::SqsMessenger;
use berth_control::contract::ledger_contract;
use berth_control::intake::DeadLetter;
use berth_control::ports::{Change, Committed, Ledger, Messenger, PortError};
use berth_control::records::instance;
use berth_deployment::{Emulator, Workspace};
use berth_scheduler::attributes::AttributeSet;
use berth_scheduler::id::{ClusterName, Revision};
use berth_scheduler::instance::{InstanceRecord, InstanceState};
use berth_scheduler::quantity::Seconds;
use berth_scheduler::report::InstanceStatus;

const ENDPOINT_VARIABLE: &str = "BERTH_TEST_DYNAMODB_ENDPOINT";

/// How often the state of a new table is asked for, and how long is waited in between, in milliseconds.
const LOOKS_MAX: usize = 100;
const PAUSE_MS: u64 = 100;

/// A capacity record with everything in it.
const ACTIVE: &str = include_str!("../../control/tests/records-v1/instance-active.json");

/// Checks that the contract has at least, so that none gets lost.
const CHECKS_MIN: usize = 20;

fn emulator() -> Emulator {
    let workspace = Workspace::of_test(env!("CARGO_TARGET_TMPDIR")).unwrap();
    Emulator::start(&workspace).unwrap()
}

async fn sdk(endpoint: &str) -> SdkConfig {
    let anybody = "[default]\naws_access_key_id = test\naws_secret_access_key = test\n";
    let files = EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Credentials, anybody);
    aws_config::defaults(BehaviorVersion::latest())
        .profile_files(files.build())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .load()
        .await
}

#[tokio::test]
async fn the_ledger_on_dynamodb_keeps_the_contract() -> Result<(), Box<dyn Error>> {
    let other = std::env::var(ENDPOINT_VARIABLE);
    let emulator = other.is_err().then(emulator);
    let endpoint = emulator
        .as_ref()
        .map_or_else(|| other.unwrap_or_default(), |it| it.endpoint().to_owned());
    let client = aws_sdk_dynamodb::Client::new(&sdk(&endpoint).await);
    let run = format!("{:08x}", RandomState::new().hash_one(0) >> 32);
    let tables = Tables {
        capacity: format!("berth-{run}-capacity"),
        tasks: format!("berth-{run}-tasks"),
        final_tasks_kept: Seconds::new(86_400),
    };
    for table in [&tables.capacity, &tables.tasks] {
        make_table(&client, table).await?;
    }
    let outcome = ledger_contract(&DynamoLedger::new(client.clone(), tables.clone()), &run).await;
    for table in [tables.capacity, tables.tasks] {
        client.delete_table().table_name(table).send().await?;
    }
    let kept = outcome?;
    assert!(kept.len() >= CHECKS_MIN, "{kept:?}");
    Ok(())
}

#[tokio::test]
async fn the_attributes_of_an_instance_that_is_gone_go_with_its_record() -> Result<(), Box<dyn Error>> {
    let emulator = emulator();
    let client = aws_sdk_dynamodb::Client::new(&sdk(emulator.endpoint()).await);
    let tables = Tables {
        capacity: "capacity".to_owned(),
        tasks: "tasks".to_owned(),
        final_tasks_kept: Seconds::new(86_400),
    };
    make_table(&client, &tables.capacity).await?;
    let ledger = DynamoLedger::new(client.clone(), tables);
    let cluster = ClusterName::parse("default")?;
    let active = instance::from_json(&serde_json::from_str(ACTIVE)?)?;
    let attributes: AttributeSet = [("stack".to_owned(), None::<String>)].into_iter().collect();
    ledger
        .store_attributes(&cluster, active.arn(), &attributes)
        .await?;
    let gone = InstanceRecord::from_state(InstanceState {
        revision: Revision::new(1),
        status: InstanceStatus::Inactive,
        reservations: BTreeMap::new(),
        ..active.state().clone()
    });
    let change = Change {
        instance: Some((&cluster, &gone)),
        ..Change::default()
    };
    assert_eq!(ledger.commit(change).await?, Committed::Done);
    let items = client
        .scan()
        .table_name("capacity")
        .send()
        .await?
        .items
        .unwrap_or_default();
    assert_eq!(items.len(), 2);
    assert!(
        items.iter().all(|item| item.contains_key("expiresAt")),
        "{items:?}"
    );
    Ok(())
}

async fn make_table(client: &aws_sdk_dynamodb::Client, name: &str) -> Result<(), Box<dyn Error>> {
    let mut request = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest);
    for (key, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let definition = AttributeDefinition::builder()
            .attribute_name(key)
            .attribute_type(ScalarAttributeType::S);
        let element = KeySchemaElement::builder().attribute_name(key).key_type(kind);
        request = request
            .attribute_definitions(definition.build()?)
            .key_schema(element.build()?);
    }
    request.send().await?;
    for _ in 0..LOOKS_MAX {
        let answer = client.describe_table().table_name(name).send().await?;
        if answer.table().and_then(|table| table.table_status()) == Some(&TableStatus::Active) {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(PAUSE_MS)).await;
    }
    Err(format!("the table `{name}` is not ready after {LOOKS_MAX} looks").into())
}

/// The one message that a queue has, received with everything that came with it.
async fn only_message(client: &aws_sdk_sqs::Client, queue: &str) -> Message {
    let request = client
        .receive_message()
        .queue_url(queue)
        .max_number_of_messages(10);
    let answer = request
        .message_attribute_names("All")
        .wait_time_seconds(5)
        .send()
        .await;
    let mut messages = answer.unwrap().messages.unwrap_or_default();
    assert_eq!(messages.len(), 1, "{messages:?}");
    messages.remove(0)
}

#[tokio::test]
async fn the_messenger_on_sqs_sends_wakes_refusals_and_dead_letters() -> Result<(), Box<dyn Error>> {
    let emulator = emulator();
    let client = aws_sdk_sqs::Client::new(&sdk(emulator.endpoint()).await);
    let mut urls = Vec::new();
    for name in ["wakes", "refusals", "dead-letters"] {
        let queue = client.create_queue().queue_name(name).send().await?;
        urls.push(queue.queue_url.unwrap_or_default());
    }
    let [wakes, refusals, dead_letters]: [String; 3] = urls.try_into().unwrap();
    let messenger = SqsMessenger::new(client.clone(), wakes.clone());
    let cluster = ClusterName::parse("default")?;

    assert!(messenger.refuse("{}").await.is_err(), "it has no refusals queue");
    let messenger = messenger
        .with_refusals(refusals.clone())
        .with_dead_letters(dead_letters.clone());
    messenger.wake(&cluster, 0).await?;
    let wake = only_message(&client, &wakes).await;
    assert_eq!(wake.body(), Some(r#"{"wake":{"cluster":"default"}}"#));

    messenger.refuse(r#"{"reason": "no"}"#).await?;
    let refusal = only_message(&client, &refusals).await;
    assert_eq!(refusal.body(), Some(r#"{"reason": "no"}"#));

    let letter = DeadLetter {
        message_id: "m-1".to_owned(),
        body: r#"{"id": "etl"}"#.to_owned(),
        reason: PortError::Failed {
            operation: "PutItem",
            message: "a\u{1}b\n".to_owned() + &"c".repeat(5_000),
        },
    };
    messenger.dead_letter(&letter).await?;
    let dead = only_message(&client, &dead_letters).await;
    assert_eq!(dead.body(), Some(letter.body.as_str()));
    let told = dead.message_attributes.unwrap_or_default();
    let told: BTreeMap<&str, &str> = told
        .iter()
        .map(|(name, value)| (name.as_str(), value.string_value().unwrap_or_default()))
        .collect();
    assert_eq!(told["MessageId"], "m-1");
    assert_eq!(told["ErrorType"], "CallFailed");
    assert!(told["Reason"].starts_with("PutItem failed: a b ccc"), "{told:?}");
    Ok(())
}

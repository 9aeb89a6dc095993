//! Runs the contract of all ledgers against DynamoDB, in two tables that it makes and removes.
//!
//! ```sh
//! BERTH_TEST_DYNAMODB_ENDPOINT=http://127.0.0.1:4566 AWS_REGION=us-east-1 \
//! AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test cargo run -p berth-aws --example ledger_contract
//! ```
//!
//! Without an endpoint it would use the tables of whatever account the environment names, so it asks for one.

use std::error::Error;
use std::hash::{BuildHasher, RandomState};

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
};
use berth_aws::ledger::{DynamoLedger, Tables};
use berth_control::contract::ledger_contract;
use berth_scheduler::quantity::Seconds;

const ENDPOINT_VARIABLE: &str = "BERTH_TEST_DYNAMODB_ENDPOINT";

/// How often the state of a new table is asked for, and how long is waited in between, in milliseconds.
const LOOKS_MAX: usize = 100;
const PAUSE_MS: u64 = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let endpoint = std::env::var(ENDPOINT_VARIABLE).map_err(|_| {
        format!("the environment variable {ENDPOINT_VARIABLE} is not set: give the URL of a DynamoDB")
    })?;
    let sdk = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .load()
        .await;
    let client = Client::new(&sdk);
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
    for check in outcome? {
        println!("kept: {check}");
    }
    Ok(())
}

async fn make_table(client: &Client, name: &str) -> Result<(), Box<dyn Error>> {
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

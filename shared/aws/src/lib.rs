//! Berth's ports on DynamoDB, ECS and SQS.

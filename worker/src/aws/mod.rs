//! Thin adapters on AWS. The SDK's types end in here; what leaves are plain values and [`AwsError`](coalmine_door::AwsError)s.

pub mod approvals;
pub mod calls;
pub mod cloudwatch;
pub mod codepipeline;
pub mod ecr;
pub mod ecs;
mod ecs_views;
pub mod events;
pub mod executions;
pub mod logs;
pub mod observed;
pub mod observer;
mod once;
pub mod pipelines;
pub mod s3;
pub mod webhook;

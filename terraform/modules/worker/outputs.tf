output "action_types" {
  description = "The action types by provider (Coalmine-Canary, Coalmine-Full, Coalmine-Rollback): category, owner, provider and version, as a pipeline's actions name them."
  value       = local.action_types
  # A pipeline whose action type does not exist yet is refused.
  depends_on = [aws_codepipeline_custom_action_type.this]
}

output "pool" {
  description = "The pool whose jobs these workers take, for the property Pool of the actions."
  value       = var.pool
  # Whoever makes a pipeline needs the pool, and a pipeline needs the action types.
  depends_on = [aws_codepipeline_custom_action_type.this]
}

output "role_arn" {
  description = "ARN of the role that the workers act with."
  value       = module.task.task_roles["worker"].arn
}

output "policies" {
  description = "The policies of the workers' role (task) and of the role that starts them (execution), as JSON, for a review."
  value = {
    task      = data.aws_iam_policy_document.task.json
    execution = module.task.execution_policy
  }
}

output "ledger_bucket" {
  description = "Name of the ledger's bucket."
  value       = module.ledger.name
}

output "ledger_bucket_arn" {
  description = "ARN of the ledger's bucket."
  value       = module.ledger.arn
}

output "ledger_prefix" {
  description = "The prefix of the workers' objects in the ledger's bucket."
  value       = var.ledger_prefix
}

output "ledger_url" {
  description = "The ledger as the programs take it, s3://bucket/prefix; also for the janitor's policy file."
  value       = "s3://${module.ledger.name}/${var.ledger_prefix}"
}

output "releases_topic_arn" {
  description = "ARN of the topic that is told when a release reaches another state."
  value       = aws_sns_topic.releases.arn
}

output "kms_key_arn" {
  description = "ARN of the key that encrypts ledger, logs and the releases' topic."
  value       = local.kms_key_arn
}

output "log_group_name" {
  description = "Name of the workers' log group."
  value       = module.task.log_group_name
}

output "security_group_id" {
  description = "The workers' security group."
  value       = module.task.security_group_id
}

output "service_name" {
  description = "Name of the workers' ECS service."
  value       = aws_ecs_service.this.name
}

output "alarm_names" {
  description = "Names of the alarms on the workers themselves."
  value       = sort([for alarm in concat(values(aws_cloudwatch_metric_alarm.log), values(aws_cloudwatch_metric_alarm.service)) : alarm.alarm_name])
}

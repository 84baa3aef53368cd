output "scan_role_arn" {
  description = "ARN of the role that scans: it may read, and write what the janitor remembers."
  value       = module.task.task_roles["scan"].arn
}

output "sweep_role_arn" {
  description = "ARN of the role that sweeps: it may also delete images of repositories that carry the tag."
  value       = module.task.task_roles["sweep"].arn
}

output "policies" {
  description = "The policies of the roles that scan, sweep, start the container (execution) and start the task (schedule), as JSON, for a review."
  value = {
    scan      = data.aws_iam_policy_document.task["scan"].json
    sweep     = data.aws_iam_policy_document.task["sweep"].json
    execution = module.task.execution_policy
    schedule  = data.aws_iam_policy_document.schedule.json
  }
}

output "state_bucket" {
  description = "Name of the bucket that holds the janitor's state."
  value       = local.state_bucket
}

output "schedule_name" {
  description = "Name of the schedule, and of its group."
  value       = aws_scheduler_schedule.this.name
}

output "task_definition_arns" {
  description = "ARNs of the task definitions by what they do, scan and sweep, for runs by hand with `aws ecs run-task`."
  value       = module.task.task_definition_arns
}

output "log_group_name" {
  description = "Name of the janitor's log group, where its reports are."
  value       = module.task.log_group_name
}

output "security_group_id" {
  description = "The janitor's security group."
  value       = module.task.security_group_id
}

output "repository_tag" {
  description = "The tag that a repository has to carry before anything is deleted in it."
  value       = var.repository_tag
}

output "alarm_names" {
  description = "Names of the janitor's alarms."
  value       = sort([for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name])
}

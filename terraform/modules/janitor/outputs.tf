output "scan_role_arn" {
  description = "ARN of the role that scans: it may read, and nothing else."
  value       = aws_iam_role.task["scan"].arn
}

output "sweep_role_arn" {
  description = "ARN of the role that sweeps: it may also delete images of repositories that carry the tag, and keep the state."
  value       = aws_iam_role.task["sweep"].arn
}

output "state_bucket" {
  description = "Name of the bucket that holds the janitor's state."
  value       = local.state_bucket
}

output "schedule_name" {
  description = "Name of the schedule."
  value       = aws_scheduler_schedule.this.name
}

output "task_definition_arns" {
  description = "ARNs of the task definitions by what they do, scan and sweep, for runs by hand with `aws ecs run-task`."
  value       = { for verb, definition in aws_ecs_task_definition.this : verb => definition.arn }
}

output "log_group_name" {
  description = "Name of the janitor's log group, where its reports are."
  value       = aws_cloudwatch_log_group.this.name
}

output "security_group_id" {
  description = "The janitor's security group."
  value       = aws_security_group.this.id
}

output "repository_tag" {
  description = "The tag that a repository has to carry before anything is deleted in it."
  value       = var.repository_tag
}

output "alarm_names" {
  description = "Names of the janitor's alarms."
  value       = sort([for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name])
}

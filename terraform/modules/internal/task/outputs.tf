output "task_definition_arns" {
  description = "ARNs of the task definitions by their short names."
  value       = { for key, definition in aws_ecs_task_definition.this : key => definition.arn }
}

output "task_roles" {
  description = "The task roles by the same names: ARN and name."
  # A task that starts before its role may do something fails for nothing.
  depends_on = [aws_iam_role_policy.task, aws_iam_role_policy.execution]
  value      = { for key, role in aws_iam_role.task : key => { arn = role.arn, name = role.name } }
}

output "execution_role_arn" {
  description = "ARN of the execution role."
  value       = aws_iam_role.execution.arn
}

output "execution_policy" {
  description = "The execution role's policy as JSON."
  value       = data.aws_iam_policy_document.execution.json
}

output "log_group_name" {
  description = "Name of the log group."
  value       = aws_cloudwatch_log_group.this.name
}

output "security_group_id" {
  description = "The security group."
  value       = aws_security_group.this.id
}

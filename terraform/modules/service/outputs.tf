output "release" {
  description = "What the pipeline module has to know of the pair: an element of its `services`."
  value = {
    cluster         = var.cluster_name
    service         = aws_ecs_service.this["full"].name
    canary_service  = aws_ecs_service.this["canary"].name
    template_family = aws_ecs_task_definition.template.family
    canary_capacity = var.canary_capacity
    canary_alarms   = local.alarm_names["canary"]
    full_alarms     = local.alarm_names["full"]
  }
}

output "role_arns" {
  description = "The tasks' two roles, which the worker has to pass to ECS: an input of the worker module."
  value       = sort([for role in aws_iam_role.this : role.arn])
}

output "task_role_name" {
  description = "The task role, for policies that are attached elsewhere."
  value       = aws_iam_role.this["task"].name
}

output "service_arns" {
  description = "The two services: `full` and `canary`."
  value       = { for role, service in aws_ecs_service.this : role => service.arn }
}

output "container_name" {
  description = "What imagedefinitions.json has to call the container."
  value       = local.container
}

output "security_group_id" {
  description = "The tasks' security group: databases and others admit it."
  value       = aws_security_group.this.id
}

output "log_group_arn" {
  description = "The log group of both services: an input of the worker module, for the log lines in failure messages."
  value       = aws_cloudwatch_log_group.this.arn
}

output "template_family" {
  description = "The family whose newest revision is the next release's template."
  value       = aws_ecs_task_definition.template.family
}

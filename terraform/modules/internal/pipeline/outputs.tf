output "arn" {
  description = "The pipeline's ARN, known before it is there."
  value       = local.pipeline_arn
}

output "role_arn" {
  description = "The pipeline's role."
  value       = aws_iam_role.this.arn
  # The pipeline begins as soon as it is there.
  depends_on = [aws_iam_role_policy.this]
}

output "artifact_bucket" {
  description = "Name of the bucket of the artifacts."
  value       = module.artifacts.name
}

output "key_arn" {
  description = "The key of the artifacts and of the topic."
  value       = module.key.arn
}

output "approvals_topic_arn" {
  description = "The topic that is told of waiting approvals."
  value       = local.topic_arn
  depends_on  = [aws_sns_topic.approvals]
}

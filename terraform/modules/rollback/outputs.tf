output "name" {
  description = "The pipeline's name."
  value       = aws_codepipeline.this.name
}

output "arn" {
  description = "The pipeline."
  value       = aws_codepipeline.this.arn
}

output "command" {
  description = "The one command that starts a rollback of all services to the last release that succeeded."
  value       = "aws codepipeline start-pipeline-execution --name ${var.name} --variables name=services,value=${join(",", var.services)} name=to,value=last"
}

output "start_policy" {
  description = "A policy, as JSON, for those who may press the button: starting this pipeline and nothing else."
  value       = data.aws_iam_policy_document.start.json
}

output "approvals_topic_arn" {
  description = "The topic that is told of waiting approvals, for chat tools and others."
  value       = module.base.approvals_topic_arn
}

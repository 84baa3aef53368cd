output "name" {
  description = "The pipeline's name."
  value       = aws_codepipeline.this.name
}

output "arn" {
  description = "The pipeline."
  value       = aws_codepipeline.this.arn
}

output "source_key" {
  description = "The object in the source bucket whose new version starts a release."
  value       = local.source_key
}

output "approvals_topic_arn" {
  description = "The topic that is told of waiting approvals, for chat tools and others."
  value       = module.base.approvals_topic_arn
}

output "artifact_bucket" {
  description = "The bucket of the artifacts."
  value       = module.base.artifact_bucket
}

output "repository_urls" {
  description = "The repositories' URLs by name, for image = \"$${module.build.repository_urls[\"shop\"]}:8c1f2ab\"."
  value       = { for name, repository in aws_ecr_repository.this : name => repository.repository_url }
}

output "repository_arns" {
  description = "The repositories' ARNs by name."
  value       = { for name, repository in aws_ecr_repository.this : name => repository.arn }
}

output "source_bucket" {
  description = "Name of the bucket into which the build uploads <class>/imagedefinitions.zip. It is versioned and tells EventBridge of each upload, which starts the pipelines."
  value       = module.source.name
}

output "source_bucket_arn" {
  description = "ARN of that bucket."
  value       = module.source.arn
}

output "kms_key_arn" {
  description = "ARN of the key that encrypts images, bucket and logs. A pipeline's role needs kms:Decrypt with it to read its source."
  value       = local.kms_key_arn
}

output "project_name" {
  description = "Name of the CodeBuild project."
  value       = aws_codebuild_project.this.name
}

output "pipeline_name" {
  description = "Name of the pipeline that builds each commit."
  value       = aws_codepipeline.this.name
}

output "connection_arn" {
  description = "ARN of the connection to the git host. One that was created here waits for somebody to confirm it in the console."
  value       = local.connection_arn
}

output "role_arn" {
  description = "ARN of the role that the build runs with."
  value       = aws_iam_role.build.arn
}

output "repositories" {
  description = "The repositories by name, as the service module takes them: ARN, URL and whether their tags can be moved."
  value = { for name, repository in aws_ecr_repository.this : name => {
    arn                  = repository.arn
    repository_url       = repository.repository_url
    image_tag_mutability = repository.image_tag_mutability
  } }
}

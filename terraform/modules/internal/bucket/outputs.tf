output "name" {
  description = "The bucket's name."
  value       = local.name
  # Whoever uses the bucket waits until it is private, encrypted and versioned.
  depends_on = [aws_s3_bucket_policy.this, aws_s3_bucket_server_side_encryption_configuration.this, aws_s3_bucket_versioning.this]
}

output "arn" {
  description = "The bucket's ARN."
  value       = local.arn
}

output "name" {
  description = "The bucket's name."
  # Whoever uses the bucket waits until it is private, encrypted and versioned.
  value      = aws_s3_bucket_versioning.this.bucket
  depends_on = [aws_s3_bucket_public_access_block.this, aws_s3_bucket_server_side_encryption_configuration.this, aws_s3_bucket_policy.this]
}

output "arn" {
  description = "The bucket's ARN."
  value       = aws_s3_bucket.this.arn
}

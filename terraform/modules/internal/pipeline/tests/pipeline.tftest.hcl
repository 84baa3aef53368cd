# What a pipeline stands on. The stand-in's apply creates nothing.

provider "aws" {
  region = "eu-central-1"
}

variables {
  name               = "app"
  source_bucket      = "sources"
  source_key         = "app/imagedefinitions.zip"
  source_kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
  approvers          = ["ann@example.com"]
}

run "what_it_keeps_is_encrypted_and_what_it_may_do_is_little" {
  command = apply

  assert {
    condition     = aws_sns_topic.approvals.kms_master_key_id == output.key_arn
    error_message = "The topic should be encrypted with the pipeline's key."
  }

  assert {
    condition = { for statement in data.aws_iam_policy_document.this.statement : statement.sid => "${join(" ", sort(statement.actions))} on ${join(" ", statement.resources)}" } == {
      SourceBucket   = "s3:GetBucketVersioning on arn:aws:s3:::sources"
      Source         = "s3:GetObject s3:GetObjectVersion on arn:aws:s3:::sources/app/imagedefinitions.zip"
      ArtifactBucket = "s3:GetBucketVersioning on arn:aws:s3:::app-artifacts-123456789012-eu-central-1"
      Artifacts      = "s3:GetObject s3:GetObjectVersion s3:PutObject on arn:aws:s3:::app-artifacts-123456789012-eu-central-1/*"
      Key            = "kms:Decrypt kms:GenerateDataKey on ${output.key_arn}"
      SourceKey      = "kms:Decrypt on arn:aws:kms:eu-central-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
      Ask            = "sns:Publish on arn:aws:sns:eu-central-1:123456789012:app-approvals"
    }
    error_message = "The pipeline's policy has changed."
  }

  assert {
    condition     = aws_iam_role_policy.this.policy == data.aws_iam_policy_document.this.json
    error_message = "The role should have that policy."
  }

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal == { Service = "codepipeline.amazonaws.com" }
    error_message = "Only CodePipeline may take the role."
  }

  assert {
    condition     = [for subscription in aws_sns_topic_subscription.approver : subscription.endpoint] == ["ann@example.com"]
    error_message = "Approvers should be told."
  }
}

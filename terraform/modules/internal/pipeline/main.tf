# What every pipeline stands on: the key and the bucket of its artifacts, the topic of its approvals, and its role.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region

  # Put together from names, so that a plan shows whole policies.
  pipeline_arn      = "arn:${local.partition}:codepipeline:${local.region}:${local.account}:${var.name}"
  topic_arn         = "arn:${local.partition}:sns:${local.region}:${local.account}:${var.name}-approvals"
  source_bucket_arn = "arn:${local.partition}:s3:::${var.source_bucket}"
}

# -- what goes through it --------------------------------------------------------------------------------------------

module "key" {
  source = "../key"

  name        = "${var.name}-pipeline"
  description = "Artifacts and approvals of pipeline ${var.name}"
  tags        = var.tags
}

module "artifacts" {
  source = "../bucket"

  prefix          = "${var.name}-artifacts"
  kms_key_arn     = module.key.arn
  expiration_days = var.artifact_days
  noncurrent_days = 7
  tags            = var.tags
}

# -- who is asked ----------------------------------------------------------------------------------------------------

resource "aws_sns_topic" "approvals" {
  name              = "${var.name}-approvals"
  kms_master_key_id = module.key.arn
  tags              = var.tags
}

resource "aws_sns_topic_subscription" "approver" {
  for_each = toset(var.approvers)

  topic_arn = aws_sns_topic.approvals.arn
  protocol  = "email"
  endpoint  = each.value
}

# -- the pipeline's role: the source, the artifacts, the topic ---------------------------------------------------------

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["codepipeline.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [local.pipeline_arn]
    }
  }
}

resource "aws_iam_role" "this" {
  name               = "${var.name}-pipeline"
  assume_role_policy = data.aws_iam_policy_document.assume.json
  tags               = var.tags
}

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "SourceBucket"
    actions   = ["s3:GetBucketVersioning"]
    resources = [local.source_bucket_arn]
  }

  statement {
    sid       = "Source"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["${local.source_bucket_arn}/${var.source_key}"]
  }

  statement {
    sid       = "ArtifactBucket"
    actions   = ["s3:GetBucketVersioning"]
    resources = [module.artifacts.arn]
  }

  # Also what the worker reads artifacts with: CodePipeline derives the credentials of each job from this role.
  statement {
    sid       = "Artifacts"
    actions   = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
    resources = ["${module.artifacts.arn}/*"]
  }

  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [module.key.arn]
  }

  dynamic "statement" {
    for_each = compact([var.source_kms_key_arn])

    content {
      sid       = "SourceKey"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }

  statement {
    sid       = "Ask"
    actions   = ["sns:Publish"]
    resources = [local.topic_arn]
  }
}

resource "aws_iam_role_policy" "this" {
  name   = "pipeline"
  role   = aws_iam_role.this.name
  policy = data.aws_iam_policy_document.this.json
}
